# Configurations come and go while clients stay: hubs apart from each other,
# other sizes, other hubs, broken files, and many reloads under load.

use lib 't/lib';
use Wscast;
use Time::HiRes qw(time);

sub conf {
    my (%option) = @_;
    my $zone  = $option{zone} // '8m';
    my $drain = $option{drain} // '2s';
    my $more  = $option{more} // '';

    return <<"CONF";
wscast_hub chat {
    zone $zone;
}
$more
server {
    listen 127.0.0.1:%%PORT%% reuseport;

    wscast_drain     $drain;
    wscast_channel   "room:1";
    wscast_allow     publish "room:1";
    wscast_welcome   \$pid;

    location /chat {
        wscast  chat text;
    }

    location /news {
        @{[ $more ? 'wscast  news text;' : 'return 404;' ]}
    }
}
CONF
}

my $NEWS  = 'wscast_hub news { zone 4m; }';
my $nginx = host(conf(more => $NEWS), workers => 2);

sub clients {
    my ($path, $n) = @_;
    my @ws = map { $nginx->ws($path) } 1 .. $n;
    $_->recv for @ws;
    return @ws;
}

sub hears {
    my ($name, $from, @ws) = @_;
    $from->text($name);
    return is((grep { ($_->recv_text // '') ne $name } @ws), 0, $name);
}

# -- hubs are apart ------------------------------------------------------

{
    my @chat = clients('/chat', 6);
    my @news = clients('/news', 6);

    hears('a hub hears its own', $chat[0], @chat);
    ok($_->silent(0.1), 'another hub does not') for @news[0 .. 2];
    hears('... but its own', $news[0], @news);

    is($nginx->hub('chat')->{connections}, 6, 'clients are counted by hub');
    is($nginx->hub('news')->{connections}, 6, '... each');
}

# -- a broken file -------------------------------------------------------

{
    my @ws   = clients('/chat', 6);
    my @pids = $nginx->workers;

    $nginx->expect_log(qr/\[emerg\].*unknown directive "nonsense"/);
    $nginx->configure(conf(more => $NEWS) . 'nonsense;');
    $nginx->signal('HUP');
    ok(wait_until(sub { $nginx->log_text =~ /nonsense/ }),
        'a broken configuration is refused');
    is(join(' ', $nginx->workers), "@pids", 'the workers stay');
    hears('and their clients', $ws[0], @ws);
}

# -- another size, another hub -------------------------------------------

{
    my @old = clients('/chat', 6);

    $nginx->reload(conf(zone => '16m'));
    my @new = clients('/chat', 6);
    hears('after another size the new ones hear each other', $new[0], @new);
    is($nginx->http('GET', '/news')->{status}, 404, 'a hub may be removed');
    is((grep { $_->wait_close(8)->{code} != 1001 } @old), 0,
        'the old ones are asked to move');

    $nginx->reload(conf(zone => '16m', more => $NEWS));
    hears('a hub may come back', $_->[0], @$_) for [clients('/news', 6)];
    is((grep { $_->wait_close(8)->{code} != 1001 } @new), 0,
        'and those of before are asked to move');
}

# -- many generations at once --------------------------------------------

{
    my $slow = conf(zone => '16m', more => $NEWS, drain => '20s');
    $nginx->reload($slow);

    my @ws;

    for my $generation (1 .. 6) {
        push @ws, clients('/chat', 6);
        $nginx->reload($slow);
    }

    push @ws, clients('/chat', 6);
    my @there = grep { $_->_read; !$_->{eof} && $_->{in} eq '' } @ws;
    my %got;
    my $n = 500;

    $ws[-1]->queue(join '', map {
        Wscast::WebSocket::frame_bytes(1, "number $_")
    } 1 .. $n);

    # who is asked to move meanwhile need not have all of it, but no gap
    my $met = gather(\@ws, timeout => 15,
        message => sub {
            push @{ $got{ $_[0] } }, $_[1]{data} =~ /^number (\d+)/;
        },
        until => sub {
            !grep { !$_->{close} && !$_->{eof}
                && @{ $got{$_} // [] } < $n } @ws;
        });

    cmp_ok(scalar $nginx->workers(old => 1), '>=', 6,
        'many generations live at once');
    cmp_ok(scalar @there, '>', 20, '... with many clients');
    ok($met, '... who all hear each other');
    is((grep { my $l = $got{$_} // [];
        grep { $l->[$_] != $_ + 1 } 0 .. $#$l } @ws), 0, '... without a gap');

    # the oldest may be asked to move before it is heard; then the next one is
    my ($oldest, %heard);
    ok(gather(\@ws, timeout => 15,
        message => sub {
            $heard{ $_[0] } = 1 if $_[1]{data} eq 'from the oldest';
        },
        until => sub {
            my @left = grep { !$_->{eof} && !$_->{close} } @ws;

            if (!$oldest || $oldest->{eof} || $oldest->{close}) {
                $oldest = $left[0];
                $oldest->queue(
                    Wscast::WebSocket::frame_bytes(1, 'from the oldest'));
            }

            return !grep { !$heard{$_} } @left;
        }), '... the old ones too');
    $_->drop for @ws;
    ok(wait_until(sub { !$nginx->workers(old => 1) }, 10),
        'without clients the old workers leave at once');
}

# -- reloads under load --------------------------------------------------

{
    my $conf = conf(zone => '16m', more => $NEWS, drain => '500ms');
    $nginx->reload($conf);
    my $load = load_begin('churn', $nginx->port, '/chat', 100, 8);

    for my $i (1 .. 5) {
        my $until = time + 1;
        $nginx->reload($conf);
        wait_until(sub { time > $until });
    }

    my $r = $load->();
    note("$r->{opened} opened, $r->{failed} asked to move or refused");
    cmp_ok($r->{closed}, '>', 100, 'clients come and go during five reloads');
    ok(wait_until(sub { $nginx->hub('chat')->{connections} == 0 }),
        'at the end nobody is left');
}

done_testing();
