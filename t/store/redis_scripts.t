# The scripts of src/store/redis_scripts.c: publishing, and what is kept.

use lib 't/lib';
use Wscast;
use Wscast::Docs;
use Wscast::Scripts;
use Time::HiRes qw(sleep time);

my $redis = scripts_begin();
my $EPOCH = '00c0ffee12345678';

sub with_data {
    my ($data) = @_;
    return pack("CCCC Q> Q> Q> CC n N", 0, 1, 0, 2, 1, (0) x 6) . $data;
}

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

# -- its end was lost, and its offset given out again --------------------

{
    my ($other, $third) = ('b' x 16, 'c' x 16);
    my @keys  = (key('again', 'meta'), key('again', 'stream'));
    my $first = pack 'Q>', 1_700_000_000_001;
    my $again = pack 'Q>', 1_700_000_000_002;
    my $at    = sub { my ($e) = @_; substr $e, 4, 8, $_[1]; return $e };

    publish('again', $at->(with_data('"1"'), $first));
    publish('again', $at->(with_data('"2"'), $again));

    is_deeply(publish('again', with_data('"3"'), epoch => $other,
        known => [$EPOCH, 2, $again]), [$EPOCH, 3, 0, 0],
        'who knows the message that is there publishes on');
    is_deeply(call('position', \@keys, $other, 60000, $EPOCH, 1, $first),
        [$EPOCH, 3], '... and who asks learns the same');
    is_deeply(publish('again', with_data('"4"'), epoch => $other,
        known => [$EPOCH, 2, $first]), [$other, 4, 0, 0],
        'who knows another one there begins another epoch');
    is_deeply(call('position', \@keys, $third, 60000, $other, 2, $first),
        [$third, 4], '... as does who asks');

    $redis->command('DEL', $keys[1]);
    is_deeply(call('position', \@keys, $other, 60000, $third, 2, $first),
        [$third, 4], 'of what is not kept nobody can tell');
    is_deeply(publish('again', with_data('"5"'), epoch => $other,
        known => [$third, 2, $first]), [$third, 5, 0, 0], '... nor then');
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
    is($text, script('publish'), 'publish.lua of the docs is what wscast calls');

    my ($example) = grep { /--eval publish\.lua/ } map { $_->{text} }
        Wscast::Docs::blocks('docs/redis.md');
    my $port = $redis->port;
    my $cli = Wscast::Redis::program('cli');
    $example =~ s/redis-cli/$cli -p $port/;
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
    my $now = sub {
        my ($s, $us) = @{ $redis->command('TIME') };
        return 1000 * $s + int $us / 1000;
    };

    # a ttl that ends between two lots, however long each of them took
    publish('ttl', with_data($_)) for 1 .. 40;
    my $then = $now->();
    sleep 3;
    publish('ttl', with_data($_), count => 100) for 41 .. 42;
    my $r = range('ttl');
    is(@$r - 3, 7, 'nothing has expired yet');
    $r = range('ttl', ttl => $now->() - $then - 1);
    is(join(' ', map { parts($_)->{offset} } @$r[3 .. $#$r]), '41 42',
        'what is older than the ttl is not answered');
    is($redis->command('XLEN', key('ttl', 'stream')), 2, '... nor kept');

    publish('ttl', with_data(43), ttl => 600, count => 100);
    sleep 0.7;
    is($redis->command('EXISTS', key('ttl', 'stream')), 0,
        'a stream ends with its last message');
    is_deeply(range('ttl'), [$EPOCH, 43, 0], 'its position outlives it');
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

# -- what a transaction leaves that was not finished: docs/redis.md -------

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

done_testing();
