# The checker of t/chaos sees what it is there to see: records with one thing
# wrong in each; and the schedule of a seed is always the same.

use lib 't/lib', 't/chaos';
use Wscast;
use Chaos::Order;
use Chaos::Pulse;
use Chaos::Record;
use Chaos::Schedule;
use Time::HiRes qw(time);

# Messages 1 to 9, published a second apart, all acknowledged.
sub record {
    my ($channel, @but) = @_;
    my $r = Chaos::Record->new(begun => 1000);
    my %but = map { $_ => 1 } @but;

    for my $n (1 .. 9) {
        $r->{sent}{$n}  = [1000 + $n, $channel, 1];
        $r->{taken}{$n} = [1000 + $n + 0.1] if !$but{$n};
    }

    return $r;
}

# A connection from second $since on, and what it got.
sub connection {
    my ($r, $host, $since, @got) = @_;
    push @{ $r->{segments} }, { channel => 'plain', name => 'client',
        host => $host, since => 1000 + $since, got => [@got],
        at => [map { 1000 + $_ + 0.2 } @got] };
    return;
}

sub found {
    my ($r, $what, $name) = @_;
    Chaos::Order::examine($r);
    my $first = (split /\n/, $r->{violations}[0] // 'nothing')[0];
    return defined $what ? like($first, $what, $name)
                         : is($first, 'nothing', $name);
}

# -- channels without history --------------------------------------------

{
    my $r = record('plain');
    connection($r, 'a', 0, 1 .. 9);
    connection($r, 'b', 3.5, 4 .. 9);
    connection($r, 'b', 3.5, 3 .. 7);
    found($r, undef, 'nothing is wrong with what is right');
}

{
    my $r = record('plain');
    connection($r, 'a', 0, 1 .. 9);
    connection($r, 'b', 0, 1 .. 5, 5 .. 9);
    found($r, qr/got 5 of plain twice/, 'a repeat');
}

{
    my $r = record('plain');
    connection($r, 'a', 0, 1 .. 9);
    connection($r, 'b', 0, 1 .. 4, 6, 5, 7 .. 9);
    found($r, qr/got 6 before 5, .* the other way round/, 'another order');
}

{
    my $r = record('plain');
    connection($r, 'a', 0, 1, 2);
    connection($r, 'b', 0, 2, 3);
    connection($r, 'c', 0, 3, 1);
    found($r, qr/no order agrees/, '... of more than two');
}

{
    my $r = record('plain');
    connection($r, 'a', 0, 1 .. 9);
    connection($r, 'b', 0, 1 .. 4, 6 .. 9);
    found($r, qr/missed 1 of plain: 5/, 'a hole');
}

{
    my $r = record('plain');
    connection($r, 'a', 0, 1 .. 9);
    connection($r, 'b', 2.5, 5 .. 9);
    found($r, qr/missed 2 of plain: 3 .* 4/, 'a hole at the beginning');
}

{
    my $r = record('plain');
    connection($r, 'a', 0, 1 .. 9);
    connection($r, 'b', 0, 1 .. 4, 6 .. 9);
    $r->{gaps}{b} = [1006];
    found($r, undef, 'a gap that was counted is told');
}

{
    my $r = record('plain');
    connection($r, 'a', 0, 1 .. 9);
    connection($r, 'b', 0, 1 .. 4, 6 .. 9);
    $r->{gaps}{$_} = [1006] for 'a';
    $r->{gaps}{b} = [1050];
    found($r, qr/missed 1 of plain/, '... by that host, and then');
}

{
    my $r = record('plain');
    connection($r, 'a', 0, 1 .. 4, 6 .. 9);
    found($r, qr/5, .* was acknowledged, and nobody/, 'what nobody has got');
}

{
    my $r = record('plain', 5);
    connection($r, 'a', 0, 1 .. 4, 6 .. 9);
    found($r, undef, 'what was not acknowledged may be missing');
}

# -- channels with history -----------------------------------------------

{
    my %case = (
        'right'              => [[1, 1], [2, 2], [1, 1]],
        'holds two messages' => [[1, 1], [1, 2]],
        'is in two places'   => [[1, 1], [2, 1]],
        'was not published'  => [[1, 77]],
    );

    for my $name (sort keys %case) {
        my $r = record('room');
        $r->placed('room', 'e', @$_) for @{ $case{$name} };
        is($r->{count}{violations} // 0, $name eq 'right' ? 0 : 1,
            "an offset: $name");
    }

    my $r = record('room');
    $r->placed('room', 'e', 1, 1);
    $r->placed('room', 'f', 2, 2);
    is($r->{count}{violations}, 1, 'another epoch');
}

for my $case ([[1, 2, 3], 3, 0], [[1, 3], 3, 1], [[1, 2, 3], 2, 1]) {
    my ($offsets, $end, $wrong) = @$case;
    my $r = record('room');
    $r->placed('room', 'e', $_, $_) for @$offsets;
    $r->history_holds([{ name => 'c', channel => 'room', offset => $end }]);
    is($r->{count}{violations} // 0, $wrong,
        "with offsets @$offsets a client at $end");
}

# -- excuses -------------------------------------------------------------

{
    my $r = Chaos::Record->new;
    $r->{trouble} = [['a', 10, 20]];
    is(join(' ', map { $r->troubled(@$_) } ['a', 5, 9], ['a', 5, 11],
        ['a', 19, 30], ['a', 21, 30], ['b', 11, 12]), '0 1 1 0 0',
        'an excuse holds for its host and its time');
}

{
    # 2 and 3 were published again while a was deaf, after 4, which b missed
    my $r = record('plain', 1, 5, 6);
    connection($r, 'b', 4.5, 2, 3, 7 .. 9);
    connection($r, 'a', 1.5, 4, 7 .. 9);
    $r->{gaps}{a} = [1008.5];
    found($r, undef, 'what was missed was missed when the next one came');
    $r->{gaps}{a} = [999];
    found($r, qr/missed 2 of plain/, '... and not without a gap then');
}

# -- the pulse of Redis --------------------------------------------------

{
    my $r     = Chaos::Record->new;
    my $redis = redis();
    my $pulse = Chaos::Pulse->new(record => $r, host => 'a',
        port => $redis->port);
    my $now   = sub { $r->troubled('a', time, time) };
    my $until = sub {
        my ($condition) = @_;
        return wait_until(sub { $pulse->step; $condition->() });
    };

    # a machine with no time for it makes it one, for some seconds
    ok($until->(sub { $pulse->{next} > $r->{begun} + 0.5 && !$now->() }),
        'a Redis that answers is no excuse');
    $redis->freeze;
    ok($until->($now), '... one that does not is one');
    ok(!$r->troubled('b', time, time), '... for those on its way');
    $redis->thaw;
    ok($until->(sub { !$pulse->{trouble} }), '... until it answers');
    ok(!$r->troubled('a', time + scale(4), time + scale(5)),
        '... and some seconds more');
    $redis->kill9;
    ok($until->(sub { $pulse->{trouble} }), 'one that is gone is one');
    $redis->start;
    ok($until->(sub { !$pulse->{trouble} }), '... until it is back');
}

# -- the schedule --------------------------------------------------------

{
    my @texts = map { Chaos::Schedule->new(seed => $_, seconds => 600,
        hosts => 2, redis => 1)->text } 7, 7, 8;

    is($texts[0], $texts[1], 'the same seed is the same schedule');
    isnt($texts[0], $texts[2], 'another seed is another one');

    my %n;
    $n{ (split ' ')[1] }++ for split /\n/, $texts[0];
    is($n{heal}, $n{refuse} + $n{half} + $n{deaf} + $n{delay},
        'what breaks is mended');
    is($n{thaw}, $n{freeze}, 'what is frozen is thawed');
    is((grep { !$n{$_} } qw(reload kill restart cut away)), 0,
        'everything happens in ten minutes');

    my $plain = Chaos::Schedule->new(seed => 7, seconds => 600,
        hosts => 1)->text;
    unlike($plain, qr/restart|freeze|cut|host=1/,
        'without Redis nothing is done to it');
}

done_testing();
