package Wscast::Api;

# The same cases embedded (one host of three workers) and with Redis (two hosts
# of two): whatever the API is asked, it must not show which of them it is.
#
#   Wscast::Api::settings($conf, sub {
#       my ($name, $one, $two, $redis) = @_;        # hosts; embedded: the same
#       my $r = api($one, GET => 'channels');       # status, json, header, body
#   });
#
# In the configuration, which is to have a location /api/, %%REDIS%% is where
# the hub gets its Redis.

use strict;
use warnings;

use JSON::PP ();
use Test::More ();
use Wscast;

use Exporter 'import';
our @EXPORT = qw(api refused settings);

my $JSON = JSON::PP->new->utf8->allow_nonref;

sub settings {
    my ($conf, $cases) = @_;

    my $plain = $conf =~ s/%%REDIS%%//r;
    my $alone = Wscast::host($plain, workers => 3, name => 'the only host');

    $cases->('embedded', $alone, $alone);

    my $redis  = Wscast::redis();
    my $remote = $conf =~ s{%%REDIS%%}
        {redis redis://127.0.0.1:%%REDIS_PORT%%; redis_timeout 1s 3s;}r;
    my @hosts  = map {
        Wscast::host($remote, redis => $redis, name => "host $_");
    } 'one', 'two';

    for my $host (@hosts) {
        # its workers have their connections one by one
        Test::More::ok(Wscast::wait_until(sub { $host->has_redis }),
            "$host->{name} finds Redis");
    }

    $cases->('with Redis', @hosts, $redis);

    return;
}

# A request to the API; a body that is a reference is sent as JSON.

sub api {
    my ($host, $method, $path, %option) = @_;

    $option{body} = $JSON->encode($option{body}) if ref $option{body};

    my $r = $host->http($method, "/api/$path", %option);
    $r->{json} = eval { $JSON->decode($r->{body}) } // {};

    return $r;
}

# That an answer is this error, in JSON.

sub refused {
    my ($r, $status, $reason, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    Test::More::is("$r->{status} $r->{header}{'content-type'} $r->{body}",
        "$status application/json {\"error\":{\"code\":$status,\"reason\":"
            . $JSON->encode($reason) . "}}\n", $name);

    return;
}

1;
