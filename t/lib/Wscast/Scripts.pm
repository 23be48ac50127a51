package Wscast::Scripts;

# The scripts that the store runs in Redis, called directly: they are cut out of
# the C sources, as Redis gets them, and called by a user who may do no more
# than docs/redis.md says that he must.
#
#   use Wscast::Scripts;
#
#   my $redis = scripts_begin();        # a server that has them
#   call('forget', [key('room:1', 'stream'), key('room:1', 'meta')]);
#   my @told = heard('room:1', sub { ... });
#
# $P is the prefix of the hub whose scripts they are.

use strict;
use warnings;

use Exporter qw(import);
use Wscast;
use Wscast::Docs;

our $P = 'wscast:chat:';

our @EXPORT = qw(
    $P scripts_begin script another call call_by key parts heard
);

my ($redis, $user, %script, %sha);

sub scripts_begin {
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $redis = redis();
    _cut($_) for glob 'src/store/redis_scripts*.c';
    is(scalar keys %script, 17, 'all scripts are found');

    my ($acl) = map { $_->{text} =~ /^(ACL SETUSER .*)$/m }
        Wscast::Docs::blocks('docs/redis.md');
    is($redis->command(split / /, $acl), 'OK', 'Redis takes the ACL');

    $user = another();
    is($user->command('AUTH', 'wscast', 'secret'), 'OK', '... and its user');

    for my $name (sort keys %script) {
        $sha{$name} = eval {
            $user->command('SCRIPT', 'LOAD', $script{$name})
        };
        like($sha{$name} // $@, qr/^[0-9a-f]{40}$/, "Redis takes $name");
    }

    return $redis;
}

sub script { return $script{ $_[0] } }

sub _cut {
    my ($file) = @_;
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

    my $lines = qr{(?:    ".*"(?: *\\)?\n)+};
    $macro{$1} = $text->($2)
        while $source =~ m{^#define (NOW|HEAD|ANOTHER) +\\\n($lines)}mg;
    $script{$1} = $text->($2) while $source
        =~ m{ngx_wscast_script_(\w+) = wscast_string\((.*?)\);\n}sg;

    return;
}

# Another connection, for subscribing and for calling at the same time.

sub another { return bless { port => $redis->port }, 'Wscast::Redis' }

sub call { return call_by($user, @_) }

sub call_by {
    my ($connection, $name, $keys, @args) = @_;
    return $connection->command('EVALSHA', $sha{$name}, scalar @$keys, @$keys,
        @args);
}

sub key { return "{$P$_[0]}:$_[1]" }

# An envelope, taken apart.

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

1;
