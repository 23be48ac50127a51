# The examples with curl do what they are said to do.

use lib 't/lib';
use Wscast;
use Wscast::Docs;
use Encode ();
use utf8;

binmode Test::More->builder->$_, ':encoding(UTF-8)'
    for 'output', 'failure_output';

my $nginx = host(<<'CONF');
wscast_hub chat {
    channel  room:*  { presence on; }
    channel  news:*  { history 100 1d; }
}

server {
    listen 127.0.0.1:%%PORT%%;

    location /tutorial {
        wscast          chat text;
        wscast_channel  "room:$arg_room";
    }

    location /json {
        wscast       chat;
        wscast_user  $arg_user;
    }

    location /ws {
        wscast  chat;
    }

    location /api/ {
        wscast_api  chat;
    }

    location = /metrics {
        wscast_status;
    }
}
CONF

my @subscribers = map { $nginx->ws('/tutorial?room=7') } 1 .. 2;
my $ann = $nginx->ws('/json?user=ann');
ok(wait_until(sub {
    my $hub = $nginx->hub;
    return $hub->{subscriptions} == 2 && $hub->{connections} == 3;
}), 'three clients are there');
my $base = 'http://127.0.0.1:' . $nginx->port . '/';

sub run {
    my ($command) = @_;

    $command =~ s{http://127\.0\.0\.1/}{$base}g;
    open my $out, '-|', 'sh', '-c', "($command) 2>/dev/null"
        or die "sh: $!\n";
    local $/;

    return Encode::decode_utf8(scalar(readline $out) // '');
}

my $n = 0;

for my $file ('docs/api.md', 'docs/operations.md') {
    for my $block (grep { $_->{lang} eq 'console' }
        Wscast::Docs::blocks($file))
    {
        my (undef, @runs) = split /^\$ /m, $block->{text};

        for my $run (@runs) {
            my ($command, $told) = split /\n/, $run, 2;
            my $pattern = join '.*', map { quotemeta } split /…/, $told, -1;
            my $answer  = run($command);

            $answer .= "\n" if $answer !~ /\n\z/;
            like($answer, qr/\A$pattern\z/, "$block->{at}: $command");
            $n++;
        }
    }

    next if $file ne 'docs/api.md';

    is($ann->recv_json->{user}, 'ann', 'who was disconnected there was here');
    is($ann->wait_close->{code}, 4403, '... until then');
}

cmp_ok($n, '>', 25, 'there are examples');


my ($curl) = map { $_->{text} =~ /^(curl .*)$/m } grep { $_->{lang} eq 'sh' }
    Wscast::Docs::blocks('README.md');
like(run($curl), qr/^\{"channel":"room:7","subscribers":2\}$/,
    'so does that of README.md');

done_testing();
