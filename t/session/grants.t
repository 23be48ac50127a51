# wscast_allow: patterns, variables, and what comes out of a variable.

use lib 't/lib';
use Wscast;

my $nginx = host(<<'CONF');
wscast_hub chat {
    zone 4m;
}

map $arg_tier $tier {
    default  none;
    gold     "gold:*";
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /none {
        wscast  chat;
    }

    location /mixed {
        wscast        chat;
        wscast_allow  subscribe "room:*" "exact";
        wscast_allow  publish "room:$arg_room";
        wscast_allow  subscribe publish "user:$arg_user:*";
    }

    location /all {
        wscast        chat;
        wscast_allow  all "*";
    }

    location /middle {
        wscast        chat;
        wscast_allow  all "a*b*c";
    }

    location /mapped {
        wscast        chat;
        wscast_allow  all $tier;
    }
}

server {
    listen 127.0.0.1:%%PORT_inherit%%;

    wscast_allow  subscribe "server:*";

    location /inherits {
        wscast  chat;
    }

    location /replaces {
        wscast        chat;
        wscast_allow  subscribe "location:*";
    }
}
CONF

sub may {
    my ($path, $op, $channel, %option) = @_;
    my $ws = $nginx->ws($path, %option);
    $ws->recv;
    my $m = $ws->ask({ type => $op, channel => $channel, data => 1 });
    $ws->drop;
    return $m->{type} eq 'error' ? $m->{code} : 'yes';
}

sub yes {
    my ($path, $op, $channel, @more) = @_;
    is(may($path, $op, $channel, @more), 'yes', "$path may $op $channel");
}

sub no_ {
    my ($path, $op, $channel, @more) = @_;
    is(may($path, $op, $channel, @more), 403,
        "$path may not $op $channel");
}

no_('/none', 'subscribe', 'room:1');
no_('/none', 'publish', 'room:1');

yes('/mixed', 'subscribe', 'room:1');
yes('/mixed', 'subscribe', 'room:');
yes('/mixed', 'subscribe', 'exact');
no_('/mixed', 'subscribe', 'exactly');
no_('/mixed', 'subscribe', 'roo');
no_('/mixed', 'subscribe', 'xroom:1');

yes('/mixed?room=7', 'publish', 'room:7');
no_('/mixed?room=7', 'publish', 'room:77');
no_('/mixed?room=7', 'publish', 'room:8');
no_('/mixed?room=7', 'publish', 'exact');

# a star out of a variable is a plain character
yes('/mixed?room=*', 'publish', 'room:*');
no_('/mixed?room=*', 'publish', 'room:7');
yes('/mixed?user=*', 'publish', 'user:*:x');
no_('/mixed?user=*', 'publish', 'user:ann:x');
yes('/mixed?user=ann', 'publish', 'user:ann:x');
no_('/mixed?user=ann', 'publish', 'user:bob:x');

# and so is what only looks like the mark of one
no_('/mixed?room=%01', 'publish', 'room:7');

# an empty variable grants the empty rest only
no_('/mixed', 'publish', 'room:7');
yes('/mixed', 'publish', 'room:');

yes('/all', 'subscribe', 'anything at all');
yes('/all', 'publish', 'anything at all');
yes('/middle', 'publish', 'abc');
yes('/middle', 'publish', 'axxbyyc');
no_('/middle', 'publish', 'axxbyy');
no_('/middle', 'publish', 'acb');

no_('/mapped?tier=gold', 'publish', 'gold:1');
yes('/mapped?tier=gold', 'publish', 'gold:*');

my @other = (port => $nginx->port('PORT_inherit'));
yes('/inherits', 'subscribe', 'server:1', @other);
no_('/inherits', 'publish', 'server:1', @other);
yes('/replaces', 'subscribe', 'location:1', @other);
no_('/replaces', 'subscribe', 'server:1', @other);

done_testing();
