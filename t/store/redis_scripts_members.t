# The scripts of src/store/redis_scripts_members.c and _leases.c: members, and
# what becomes of those of a dead worker.

use lib 't/lib';
use Wscast;
use Wscast::Scripts;
use POSIX ();
use Time::HiRes qw(sleep time);

my $redis = scripts_begin();

sub hub { return map { "{$P}:$_" } @_ }

sub members_keys {
    my ($c) = @_;
    return [map { key($c, "presence$_") } '', ':connections', ':order',
        ':lost', ':users', ':leases'];
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
        is(leaves('m', id(1), 2500), 1, 'a connection is lost');
        is(names('m'), '1', '... and still a member');
        is_deeply([@{ expires('m') }[0]], [0], '... within its grace');
        is(joins('m', id(3), user => 'ann', info => '3'), id(1) . ' - 0',
            'the same user takes it over, under the known id');
        is(leaves('m', id(1)), 0, 'the former connection has no say');
        sleep 2.6;
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
    is(renew('A.', create => 1, life => 2500), 1, 'it is made');
    is(renew('A.', life => 2500), 1, '... and renewed');
    is(renew('B.', create => 1), 1, 'so is another');
    notes('A.', $_) for 'c1', 'c2';
    is_deeply(poll(), [''], 'none is dead');
    sleep 2.6;
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

    $miss->('c1', 2500);
    $miss->('c1', 9000);
    $miss->('c2', 20_000);
    is_deeply(poll(), [''], 'nothing is due');
    sleep 2.6;
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

    my @children = map {
        my $pid = fork // die "fork: $!\n";
        if (!$pid) {
            my $own = another();
            for my $lease ('X.', 'Y.') {
                my $r;
                do {
                    $r = call_by($own, 'purge', members_keys('big'), "${P}big",
                        $lease, '', 100);
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
