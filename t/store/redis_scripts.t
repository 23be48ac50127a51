# The scripts that the store runs in Redis, called directly: they are cut out of
# the C sources, as Redis gets them, and called by a user who may do no more
# than docs/redis.md says that he must.

use lib 't/lib';
use Wscast;
use Wscast::Docs;
use Time::HiRes qw(sleep time);

my $redis = redis();

# -- the scripts, and calling them ---------------------------------------

my (%script, %sha);

for my $file (glob 'src/store/redis_scripts*.c') {
    open my $fh, '<', $file or die "$file: $!\n";
    my $source = do { local $/; <$fh> };
    my %macro;

    my $text = sub {
        my ($c) = @_;
        my $out = '';
        while ($c =~ /\G\s*(?:"((?:[^"\\]|\\.)*)"|(\w+))\s*\\?/gc) {
            $out .= defined $2 ? $macro{$2} : $1 =~ s/\\(.)/
                $1 eq 'n' ? "\n" : $1/ger;
        }
        return $out;
    };

    my $lines = qr{(?:    ".*"(?: \\)?\n)+};
    $macro{$1} = $text->($2)
        while $source =~ m{^#define (NOW|HEAD) +\\\n($lines)}mg;
    $script{$1} = $text->($2) while $source
        =~ m{ngx_wscast_script_(\w+) = wscast_string\((.*?)\);\n}sg;
}

is(scalar keys %script, 17, 'all scripts are found');

my @docs = map { $_->{text} } Wscast::Docs::blocks('docs/redis.md');
my ($acl) = map { /^(ACL SETUSER .*)$/m } @docs;
is($redis->command(split / /, $acl), 'OK', 'Redis takes the ACL');

my $user = another();
is($user->command('AUTH', 'wscast', 'secret'), 'OK', '... and its user');

for my $name (sort keys %script) {
    $sha{$name} = eval { $user->command('SCRIPT', 'LOAD', $script{$name}) };
    like($sha{$name} // $@, qr/^[0-9a-f]{40}$/, "Redis takes $name");
}

my $P = 'wscast:chat:';

sub call {
    my ($name, $keys, @args) = @_;
    return $user->command('EVALSHA', $sha{$name}, scalar @$keys, @$keys,
        @args);
}

sub key { return "{$P$_[0]}:$_[1]" }
sub hub { return map { "{$P}:$_" } @_ }

sub members_keys {
    my ($c) = @_;
    return [map { key($c, "presence$_") } '', ':connections', ':order',
        ':lost', ':users', ':leases'];
}

# Another connection, for subscribing and for calling at the same time.
sub another { return bless { port => $redis->port }, 'Wscast::Redis' }

sub with_data {
    my ($data) = @_;
    return pack("CCCC Q> Q> Q> CC n N", 0, 1, 0, 2, 1, (0) x 6) . $data;
}

sub parts {
    my ($bytes) = @_;
    my %f;
    (@f{qw(zero version kind flags time epoch offset)}, my @len)
        = unpack 'CCCC Q> Q> Q> CC n N', $bytes;
    my $at = 36;
    for my $name (qw(client exclude user info)) {
        $f{$name} = substr $bytes, $at, $len[0];
        $at += shift @len;
    }
    $f{data} = substr $bytes, $at;
    return \%f;
}

# What is published to the channel while the code runs.
sub heard {
    my ($channel, $code) = @_;
    my $sub = another();
    $sub->command('SUBSCRIBE', "$P$channel");
    $code->();
    $redis->command('PUBLISH', "$P$channel", 'end');
    my @got;
    while (1) {
        my $m = $sub->_reply;
        last if $m->[2] eq 'end';
        push @got, parts($m->[2]);
    }
    return @got;
}

my $EPOCH = '00c0ffee12345678';

sub publish {
    my ($c, $body, %o) = @_;
    return call('publish', [key($c, 'stream'), key($c, 'meta'),
        $o{key} ? key($c, "key:$o{key}") : ()], "$P$c", $body,
        $o{count} // 5, $o{ttl} // 60000, $o{epoch} // $EPOCH,
        @{ $o{known} // [] });
}

sub range {
    my ($c, %o) = @_;
    return call('range', [key($c, 'stream'), key($c, 'meta')],
        $o{after} // 0, $o{upto} // 0, $o{newest} // 0, $o{limit} // 100,
        $o{bytes} // 1_000_000, $o{ttl} // 60000);
}

# -- publishing ----------------------------------------------------------

{
    my @got = heard('a', sub {
        is_deeply(publish('a', with_data('"1"')), [$EPOCH, 1, 0, 1],
            'the first message gets offset 1 of the epoch that was given');
        is_deeply(publish('a', with_data('"2"'), epoch => 'f' x 16),
            [$EPOCH, 2, 0, 1], 'the next one stays in this epoch');
        is_deeply(publish('a', 'caf' . "\xc3\xa9"), [$EPOCH, 3, 0, 1],
            'plain data is published as well');
        publish('a', "\xed\xa0\x80");
    });

    is(scalar @got, 4, 'all are heard');
    is(sprintf('%016x', $got[1]{epoch}), $EPOCH,
        'the envelope is stamped with the epoch');
    is($got[1]{offset}, 2, '... and the offset');
    is($got[1]{flags}, 6, '... and says so, keeping its other flags');
    is($got[1]{data}, '"2"', '... and has its data');
    is($got[1]{time}, 1, '... and its time');
    is($got[2]{flags}, 4, 'UTF-8 is wrapped as text');
    is($got[2]{data}, "caf\xc3\xa9", '... byte for byte');
    cmp_ok(abs($got[2]{time} / 1000 - time), '<', 60, '... and has a time');
    is($got[3]{flags}, 5, 'what is not UTF-8 is wrapped as binary');

    like(eval { publish('a', "\0\1\0"); 1 } ? '' : $@, qr/not an envelope/,
        'half an envelope is refused');
    is($redis->command('HGET', key('a', 'meta'), 'o'), 4,
        '... and uses no offset');
}

# -- the end of a channel was lost ---------------------------------------

{
    my ($other, $third) = ('b' x 16, 'c' x 16);
    my @meta = (key('lost', 'meta'));
    my $stamps = sub {
        my (undef, undef, undef, @m) = @{ range('lost') };
        return join ' ', map { unpack 'H16', substr $_, 12, 8 } @m;
    };

    publish('lost', with_data('"x"')) for 1 .. 3;

    is_deeply(publish('lost', with_data('"4"'), epoch => $other,
        known => [$EPOCH, 3]), [$EPOCH, 4, 0, 0],
        'who knows what Redis knows publishes on');
    is_deeply(publish('lost', with_data('"5"'), epoch => $other,
        known => ['0' x 16, 0]), [$EPOCH, 5, 0, 0],
        '... who knows nothing, too');
    is_deeply(publish('lost', with_data('"6"'), epoch => $other,
        known => [$third, 99]), [$EPOCH, 6, 0, 0], '... or something else');
    is_deeply(call('position', \@meta, $other, 60000, $EPOCH, 6),
        [$EPOCH, 6], '... and who asks learns the same');

    is_deeply(publish('lost', with_data('"7"'), epoch => $other,
        known => [$EPOCH, 7]), [$other, 7, 0, 0],
        'who knows more begins another epoch');
    is_deeply(publish('lost', with_data('"8"'), epoch => $third,
        known => [$EPOCH, 9]), [$other, 8, 0, 0], '... which is begun once');
    is($stamps->(), join(' ', ($other) x 5),
        'what is left belongs to the new epoch');

    is_deeply(call('position', \@meta, $third, 60000, $other, 9),
        [$third, 8], 'asking does the same');
    is($stamps->(), join(' ', ($third) x 5), '... for all that is left');
    is_deeply(range('lost', upto => 99)->[1], 8, '... and there is no more');
}

{
    # only the stream is left: its offsets are of nobody's count
    publish('half', with_data('"x"')) for 1 .. 3;
    $redis->command('DEL', key('half', 'meta'));
    call('position', [key('half', 'meta')], 'd' x 16, 60000, '0' x 16, 0);
    is_deeply(range('half'), ['d' x 16, 0, 0],
        'what is behind the newest offset is not told');
}

# -- the published script ------------------------------------------------

{
    open my $fh, '<', 'docs/examples/publish.lua' or die "publish.lua: $!\n";
    my $text = do { local $/; <$fh> };
    $text =~ s/\A--[^\n]*\n\n//;
    is($text, $script{publish}, 'publish.lua of the docs is what wscast calls');

    my ($example) = grep { /--eval publish\.lua/ } @docs;
    my $port = $redis->port;
    $example =~ s/redis-cli/redis-cli -p $port/;
    is(`cd docs/examples && $example`, "0123456789abcdef\n1\n0\n0\n",
        'its example publishes');
    is(parts(range('room:7')->[3])->{data}, '{"text":"hello"}',
        '... into the history');
}

# -- UTF-8, against Perl's own judgement ---------------------------------

{
    my $wrong = 0;
    srand 7;

    for (1 .. 400) {
        my $s = join '', 'x', map { (chr 0x41, "\xc3\xa9", "\xe2\x82\xac",
            "\xf0\x9f\x98\x80", chr(0x80 + int rand 128),
            chr(int rand 256))[int rand(rand() < 0.5 ? 4 : 6)] } 1 .. 6;
        my $text = $s;
        my $valid = utf8::decode($text)
            && $text !~ /[\x{d800}-\x{dfff}]|[^\x{0}-\x{10ffff}]/ ? 1 : 0;
        publish('utf8', $s, count => 1);
        my $m = range('utf8')->[3];
        $wrong++ if (parts($m)->{flags} & 1) == $valid;
    }

    is($wrong, 0, 'text and binary are told apart');
}

# -- keys ----------------------------------------------------------------

{
    my @got = heard('k', sub {
        is_deeply(publish('k', with_data('1'), key => 'x'),
            [$EPOCH, 1, 0, 1], 'a publish with a key is a publish');
        is_deeply(publish('k', with_data('2'), key => 'x'),
            [$EPOCH, 1, 1, 0], 'its repeat answers the same');
        is_deeply(publish('k', with_data('3'), key => 'y'),
            [$EPOCH, 2, 0, 1], 'another key is another message');
    });
    is(scalar @got, 2, 'the repeat was not published');
    cmp_ok($redis->command('PTTL', key('k', 'key:x')), '>', 290_000,
        'a key is known for five minutes');

    @got = heard('n', sub {
        is_deeply(publish('n', with_data('1'), key => 'x', count => 0),
            ['', 0, 0, 1], 'without history there is no position');
        is_deeply(publish('n', with_data('1'), key => 'x', count => 0),
            ['', 0, 1, 0], '... but there is a repeat');
    });
    is(scalar @got, 1, '... which is not published');
    is($redis->command('EXISTS', key('n', 'stream'), key('n', 'meta')), 0,
        '... and nothing is kept');
}

# -- what is kept --------------------------------------------------------

{
    publish('t', with_data($_), count => 3) for 1 .. 10;
    my $r = range('t');
    is_deeply([@$r[0 .. 2], map { parts($_)->{data} } @$r[3 .. $#$r]],
        [$EPOCH, 10, 0, 8, 9, 10], 'the newest COUNT messages are kept');
    is($redis->command('XLEN', key('t', 'stream')), 3, '... exactly');

    publish('t', with_data($_), count => 100) for 11 .. 100;
    my $ids = sub {
        my $r = range('t', @_);
        return join ' ', $r->[2], map { parts($_)->{offset} } @$r[3 .. $#$r];
    };
    is($ids->(after => 97), '0 98 99 100', 'a range begins after an offset');
    is($ids->(after => 10, upto => 12), '0 11 12', '... and ends at another');
    is($ids->(limit => 2), '1 8 9', 'of too many the oldest are answered');
    is($ids->(limit => 2, newest => 1), '1 99 100', '... or the newest');
    is($ids->(newest => 1, upto => 50, limit => 3), '1 48 49 50',
        '... before a place');
    is($ids->(after => 7, limit => 1000), join(' ', 0, 8 .. 100),
        'a range longer than a slice is whole');
    is($ids->(after => 7, limit => 1000, newest => 1), join(' ', 0, 8 .. 100),
        '... from the other end too');
    is($ids->(bytes => 1), '1 8', 'at least one is answered');
    is($ids->(bytes => 39 * 3), '1 8 9 10', 'bytes are bounded');
    is($ids->(after => 2 ** 53), '0', 'there is nothing after all');

    is_deeply(range('nowhere'), ['', 0, 0], 'an unknown channel has nothing');

    is_deeply(call('forget', [map { key('t', $_) } 'stream', 'meta']),
        [$EPOCH, 100], 'it is forgotten');
    is_deeply(range('t'), [$EPOCH, 100, 0], '... but for the position');
    is_deeply(publish('t', with_data('x')), [$EPOCH, 101, 0, 0],
        '... which goes on');
    is_deeply(call('forget', [map { key('nowhere', $_) } 'stream', 'meta']),
        ['', 0], '... and of an unknown channel nothing');
}

# -- time ----------------------------------------------------------------

{
    publish('ttl', with_data($_), ttl => 1200) for 1 .. 40;
    sleep 0.7;
    publish('ttl', with_data($_), ttl => 1200, count => 100) for 41 .. 42;
    my $r = range('ttl', ttl => 1200);
    is(@$r - 3, 7, 'nothing has expired yet');
    sleep 0.7;
    $r = range('ttl', ttl => 1200);
    is(join(' ', map { parts($_)->{offset} } @$r[3 .. $#$r]), '41 42',
        'what is older than the ttl is not answered');
    is($redis->command('XLEN', key('ttl', 'stream')), 2, '... nor kept');
    sleep 1.2;
    is($redis->command('EXISTS', key('ttl', 'stream')), 0,
        'a stream ends with its last message');
    is_deeply(range('ttl'), [$EPOCH, 42, 0], 'its position outlives it');
    cmp_ok($redis->command('PTTL', key('ttl', 'meta')), '>', 6 * 86400_000,
        '... by days');

    # a publisher's own trimming
    publish('ttl', with_data('a'), ttl => 400, count => 100) for 1 .. 4;
    sleep 0.5;
    publish('ttl', with_data('b'), ttl => 400, count => 100) for 1 .. 8;
    cmp_ok($redis->command('XLEN', key('ttl', 'stream')), '<=', 8,
        'publishing trims what has expired');
}

# -- positions -----------------------------------------------------------

{
    is_deeply(call('position', [key('p', 'meta')], $EPOCH, 1000),
        [$EPOCH, 0], 'asking for the position of a new channel begins it');
    is_deeply(call('position', [key('p', 'meta')], 'f' x 16, 1000),
        [$EPOCH, 0], '... once');
    is_deeply(publish('p', with_data('1'), epoch => 'e' x 16),
        [$EPOCH, 1, 0, 0], '... and it is valid');

    # the meta is lost, the stream is not
    $redis->command('DEL', key('p', 'meta'));
    is_deeply(publish('p', with_data('2'), epoch => 'e' x 16),
        ['e' x 16, 1, 0, 0], 'a lost position begins another epoch');
    is(@{ range('p') } - 3, 1, '... without the messages of the former');

    # the meta is older than the stream
    publish('p', with_data($_)) for 1 .. 4;
    $redis->command('HSET', key('p', 'meta'), 'o', 2);
    is_deeply(publish('p', with_data('x'), epoch => 'd' x 16),
        ['d' x 16, 1, 0, 0], 'so does one that has gone back');
    is_deeply([map { parts($_)->{epoch} } @{ range('p') }[3]],
        [unpack 'Q>', pack 'H*', 'd' x 16], '... and the message tells it');
}

# -- presence ------------------------------------------------------------

sub id { return sprintf '%016d', $_[0] }

sub joins {
    my ($c, $conn, %o) = @_;
    my $r = call('join', members_keys($c), "$P$c", $conn, $o{former} // '',
        $o{user} // '', $o{info} // '', $o{lease} // 'L1.');
    return join ' ', map { $_ eq '' ? '-' : $_ } @$r;
}

sub leaves {
    my ($c, $conn, $grace) = @_;
    return call('leave', members_keys($c), "$P$c", $conn, $grace // '');
}

sub page {
    my ($c, %o) = @_;
    return call('page', [key($c, 'presence'), key($c, 'presence:order')],
        $o{cursor} // 0, $o{limit} // 100, $o{bytes} // 1_000_000);
}

sub names {
    my $r = page(@_);
    return join ' ', map { $_ * 1 } @$r[map { 2 + 3 * $_ } 0 .. (@$r - 3) / 3];
}

sub expires { return call('expire', members_keys($_[0]), "$P$_[0]", 500) }

sub nothing_left {
    my ($c) = @_;
    return $redis->command('EXISTS', @{ members_keys($c) }) == 0;
}

{
    my @got = heard('m', sub {
        is(joins('m', id(1), user => 'ann', info => '{"a":1}'),
            id(1) . ' - 1', 'a member joins');
        is(joins('m', id(1), user => 'ann', info => '{"a":2}'),
            id(1) . ' - 0', '... once');
        is(joins('m', id(2)), id(2) . ' - 1', 'so does an anonymous one');
    });
    is(scalar @got, 2, 'the others are told once');
    is($got[0]{kind}, 1, '... that it is a join');
    is($got[0]{flags}, 8, '... not for its client');
    is($got[0]{client}, id(1), '... of whom');
    is($got[0]{user}, 'ann', '... with the user');
    is($got[0]{info}, '{"a":1}', '... and the info');
    is_deeply(page('m'), [2, 0, id(1), 'ann', '{"a":2}', id(2), '', ''],
        'members are in the order of joining, with their last info');

    @got = heard('m', sub {
        is(leaves('m', id(2)), 1, 'one leaves');
        is(leaves('m', id(2)), 0, '... once');
        is(leaves('m', id(9)), 0, 'who is none cannot');
    });
    is(scalar @got, 1, 'the others are told once');
    is($got[0]{kind}, 2, '... that it is a leave');
    is($got[0]{client}, id(2), '... of whom');
    is(names('m'), '1', 'the rest stays');

    @got = heard('m', sub {
        is(leaves('m', id(1), 400), 1, 'a connection is lost');
        is(names('m'), '1', '... and still a member');
        is_deeply([@{ expires('m') }[0]], [0], '... within its grace');
        is(joins('m', id(3), user => 'ann', info => '3'), id(1) . ' - 0',
            'the same user takes it over, under the known id');
        is(leaves('m', id(1)), 0, 'the former connection has no say');
        sleep 0.5;
        is_deeply(expires('m'), [0, 0], 'nothing expires then');
        is(joins('m', id(4), user => 'ann', former => id(3)),
            id(1) . ' ' . id(3) . ' 0',
            'a connection that is not lost yet is replaced');
        is(joins('m', id(5), user => 'ann'), id(5) . ' - 1',
            'without its id the same user is another member');
        is(joins('m', id(6), user => 'eve', former => id(4)),
            id(6) . ' - 1', 'another user takes nothing over');
    });
    is(scalar(grep { $_->{kind} == 2 } @got), 0, 'nobody has left');
    is(names('m'), '1 5 6', '... and the order is kept');

    @got = heard('m', sub {
        is(leaves('m', id(4)), 1, 'it leaves by its last connection');
    });
    is($got[0]{client}, id(1), '... and the others know whom');
    is($got[0]{exclude}, id(4), '... but not that connection itself');

    leaves('m', id($_)) for 5, 6;
    ok(nothing_left('m'), 'nothing remains of them');
}

{
    joins('g', id(1));
    leaves('g', id(1), 300);
    is(joins('g', id(2)), id(2) . ' - 1', 'who is anonymous takes nobody over');
    is(joins('g', id(3), former => id(1)), id(1) . ' - 0',
        '... but by the former id, when that is lost');
    is(joins('g', id(4), former => id(3)), id(4) . ' - 1',
        '... and only then');

    leaves('g', id(3), 200);
    is(leaves('g', id(3), 200), 0, 'who is lost is not lost again');
    joins('g', id(3));
    sleep 0.3;
    is_deeply(expires('g'), [0, 0], 'a repeat finds it again');

    leaves('g', id(3), 200);
    leaves('g', id(2), 30_000);
    sleep 0.3;
    my $r;
    my @got = heard('g', sub { $r = expires('g') });
    is($r->[0], 1, 'whose grace has passed leaves');
    cmp_ok(abs($r->[1] / 1000 - time - 29.7), '<', 5,
        '... and the next deadline is told');
    is_deeply([map { "$_->{kind} $_->{client}" } @got], ['2 ' . id(1)],
        '... and so are the others');

    # an id that somebody is known by is not given twice
    leaves('g', id($_)) for 2, 4;
    joins('g', id(1), user => 'bob');
    joins('g', id(2), user => 'bob', former => id(1));
    my ($known) = split / /, joins('g', id(1), user => 'bob');
    isnt($known, id(1), 'an id in use is not given again');
    is(length $known, 16, '... and another is made');
    leaves('g', id($_)) for 1, 2;
    ok(nothing_left('g'), 'nothing remains');
}

# -- what a transaction leaves that was not finished: docs/redis.md -------

{
    my ($lost, $users, $leases) = map { key('u', "presence:$_") }
        qw(lost users leases);
    my $of = sub { pack('N/a*', $_[0]) . $_[1] };

    joins('u', id(1), user => 'ann', lease => 'new.');
    $redis->command('ZADD', $lost, 1, $_) for id(1), id(9);
    is_deeply(expires('u'), [0, 0], 'a deadline of somebody who is not lost');
    is($redis->command('EXISTS', $lost), 0, '... is forgotten');

    $redis->command('ZADD', $leases, 0, "old.\0" . id($_)) for 1, 9;
    is_deeply(call('purge', members_keys('u'), "${P}u", 'old.', '', 500),
        [0, 0], 'so is a lease of somebody who has another');
    is($redis->command('ZCARD', $leases), 1, '... but not the other');

    $redis->command('ZADD', $users, 0, $of->('ann', id(1)));
    is(joins('u', id(2), user => 'ann'), id(2) . ' - 1',
        'who is not lost is not taken over');
    $redis->command('ZADD', $users, 0, $of->('bob', id(9)));
    is(joins('u', id(3), user => 'bob'), id(3) . ' - 1',
        '... nor who is nobody');
    is($redis->command('EXISTS', $users), 0, '... and that is forgotten');

    is(names('u'), '1 2 3', 'all are there');
    leaves('u', id($_)) for 1 .. 3;
    ok(nothing_left('u'), 'nothing remains');
}

{
    publish('v', with_data($_)) for 1 .. 3;
    my $stream = key('v', 'stream');
    my $text = sub {
        my (undef, undef, undef, @m) = @{ range('v', @_) };
        return join ' ', map { parts($_)->{data} } @m;
    };

    $redis->command('XADD', $stream, '4-1', time() * 1000 | 0,
        with_data('lost'));
    $redis->command('SET', key('v', 'key:k'), "$EPOCH 4-1");
    is($text->(), '1 2 3', 'an entry that does not count is not told');
    is_deeply(publish('v', with_data('4'), key => 'k'), [$EPOCH, 4, 0, 0],
        'nor is its key believed');
    is($text->(), '1 2 3 4', '... and another message has its offset');
    is($text->(newest => 1), '1 2 3 4', '... from the other end, too');
    is($text->(limit => 4), '1 2 3 4', '... and it is one of them');
    $redis->command('SET', key('v', 'key:l'), "$EPOCH 4-1");
    is_deeply(publish('v', with_data('5'), key => 'l'), [$EPOCH, 5, 0, 0],
        'a key of what was replaced is not believed');
    is_deeply(publish('v', with_data('6'), key => 'k'), [$EPOCH, 4, 1, 0],
        '... but that of what replaced it');
}

# -- leases --------------------------------------------------------------

our $HOLD = 5000;

sub purge {
    my ($c, $lease, $grace) = @_;
    return call('purge', members_keys($c), "$P$c", $lease, $grace // '', 500);
}

sub renew {
    my ($lease, %o) = @_;
    return call('renew', [hub('leases', 'owned')], $lease, $o{life} // 30_000,
        $o{create} // 0);
}

sub notes {
    my ($lease, $c) = @_;
    return call('note', [hub('leases', "lease:$lease")], $lease, 30_000, $c);
}

sub poll {
    return call('poll', [hub('leases', 'owned', 'dead', 'lost',
        'lost:version')], $HOLD, 32, $_[0] // 1);
}

sub channels {
    my ($lease, @done) = @_;
    return call('channels', [hub('dead', "lease:$lease")], $lease, $HOLD, 32,
        @done);
}

{
    joins('p1', id($_), lease => 'A.') for 1 .. 3;
    joins('p1', id($_), lease => 'B.') for 4 .. 5;
    my $r;
    my @got = heard('p1', sub { $r = purge('p1', 'A.') });
    is_deeply($r, [3, 0], 'the members of a lease leave');
    is(join(' ', map { $_->{client} * 1 } @got), '1 2 3', '... each once');
    is(names('p1'), '4 5', '... and those of others stay');

    is_deeply(purge('p1', 'B.', 200), [0, 0], 'or they are lost');
    is(names('p1'), '4 5', '... for now');
    is(joins('p1', id(4), lease => 'C.'), id(4) . ' - 0', 'one comes back');
    sleep 0.3;
    is(expires('p1')->[0], 1, 'the other does not');
    is_deeply(purge('p1', 'B'), [0, 0], 'nobody is left of the lease');
    is_deeply(purge('p1', 'C.'), [1, 0], 'who came back is of the new one');
    ok(nothing_left('p1'), 'nothing remains');
}

{
    is(renew('A.'), 0, 'a lease that nobody has made cannot be renewed');
    is(renew('A.', create => 1, life => 300), 1, 'it is made');
    is(renew('A.', life => 300), 1, '... and renewed');
    is(renew('B.', create => 1), 1, 'so is another');
    notes('A.', $_) for 'c1', 'c2';
    is_deeply(poll(), [''], 'none is dead');
    sleep 0.4;
    is_deeply(poll(), ['A.'], 'the one that is not renewed is found dead');
    is_deeply(poll(), [''], '... by one');
    is(renew('A.'), 0, '... and cannot be renewed any more');
    is_deeply([sort @{ channels('A.') }], ['c1', 'c2'], 'it has channels');
    is_deeply(channels('A.', 'c1'), ['c2'], '... of which one is done');
    is($redis->command('ZCARD', hub('dead')), 1, 'it is being worked on');
    is_deeply(channels('A.', 'c2'), [], '... and then the other');
    is($redis->command('EXISTS', hub('dead'), hub('lease:A.')), 0,
        'nothing remains of it');

    # what a dead worker had sent comes in late
    notes('A.', 'c3');
    is($redis->command('ZCARD', hub('leases')), 2,
        'a late join makes the lease known again');
    is(renew('A.'), 0, '... but not alive');

    is(call('bury', [hub('leases', 'owned', 'dead')], 'A', $HOLD), 'A.',
        'a host declares its own worker dead');
    is(call('bury', [hub('leases', 'owned', 'dead')], 'A', $HOLD), '',
        '... once');
    local $HOLD = 200;
    channels('A.');
    sleep 0.3;
    is_deeply(poll(), ['A.'], 'if it dies at that, another goes on');
    channels('A.', 'c3');
    $redis->command('DEL', hub('leases', 'owned'));
}

# -- lost members' channels ----------------------------------------------

{
    my $miss = sub { call('miss', [hub('lost', 'lost:version')], @_) };
    my $settle = sub { call('settle', [hub('lost', 'lost:version')], @_) };

    $miss->('c1', 200);
    $miss->('c1', 9000);
    $miss->('c2', 20_000);
    is_deeply(poll(), [''], 'nothing is due');
    sleep 0.3;
    my $r = poll();
    is($r->[1], 'c1', 'a channel is due');
    is_deeply(poll(), [''], '... for one');
    is($settle->('c1', $r->[2], 0), 1, 'it is done');
    is($redis->command('ZSCORE', hub('lost'), 'c1'), undef, '... and gone');

    $miss->('c1', 100);
    sleep 0.2;
    $r = poll();
    $miss->('c1', 100);
    is($settle->('c1', $r->[2], 0), 0,
        'if somebody was lost meanwhile it is not done');
    ok($redis->command('ZSCORE', hub('lost'), 'c1'), '... and stays');
    $redis->command('DEL', hub('lost', 'lost:version'));
}

# -- two who purge at once, and 10,000 members ---------------------------

{
    my $sub = another();
    $sub->command('SUBSCRIBE', "${P}big");

    my $begun = time;
    joins('big', id($_), lease => $_ % 2 ? 'X.' : 'Y.', user => "u$_")
        for 1 .. 9000;
    my $early = time;
    joins('big', id($_), lease => 'X.', user => "u$_") for 9001 .. 10_000;
    my $late = time - $early;
    cmp_ok($late / 1000, '<', 0.005 * scale(1),
        'a join takes no longer with 9,000 members');
    is(page('big')->[0], 10_000, '10,000 are members');

    my ($cursor, $seen, $pages, %seen) = (0, 0, 0);
    do {
        my $r = page('big', cursor => $cursor, limit => 1000);
        $seen{ $r->[2 + 3 * $_] }++ for 0 .. (@$r - 2) / 3 - 1;
        $cursor = $r->[1];
        $pages++;
    } while ($cursor && $pages < 20);
    is($pages, 10, 'they are paged');
    is(scalar keys %seen, 10_000, '... all of them');
    is((grep { $_ > 1 } values %seen), 0, '... once');

    my $r = page('big', bytes => 2000);
    cmp_ok(@$r, '<', 3 * 100, 'a page is bounded by bytes');
    ok($r->[1], '... and goes on');

    my $from = $redis->port;
    my @children = map {
        my $pid = fork // die "fork: $!\n";
        if (!$pid) {
            my $own = another();
            for my $lease ('X.', 'Y.') {
                my $r;
                do {
                    $r = $own->command('EVALSHA', $sha{purge}, 6,
                        @{ members_keys('big') }, "${P}big", $lease, '', 100);
                } while ($r->[1]);
            }
            POSIX::_exit(0);
        }
        $pid;
    } 1, 2;
    my $failed = 0;
    for (@children) { waitpid $_, 0; $failed++ if $? }
    is($failed, 0, 'two purge at the same time');
    ok(nothing_left('big'), 'nothing remains');

    $redis->command('PUBLISH', "${P}big", 'end');
    my (%count, $end);
    while (!$end) {
        my $m = $sub->_reply->[2];
        $end = 1, last if $m eq 'end';
        my $f = parts($m);
        $count{ $f->{kind} }{ $f->{client} }++;
    }
    is(scalar keys %{ $count{1} }, 10_000, 'everybody has joined');
    is(scalar keys %{ $count{2} }, 10_000, '... and left');
    is((grep { $_ != 1 } values %{ $count{2} }), 0, '... exactly once');
}

done_testing();
