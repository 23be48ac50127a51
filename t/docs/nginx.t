# Every configuration that the documentation shows passes nginx -t.

use lib 't/lib';
use Wscast;
use Wscast::Docs;
use Wscast::Token;

my $JWKS = JSON::PP::encode_json({ keys => [
    Wscast::Token::jwk(Wscast::Token::private('rsa'), kid => '1')] });
my $CERT = Wscast::Host::_certificate();
my $n = 0;

sub content {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    return scalar readline $in;
}

for my $file (Wscast::Docs::files()) {
    for my $block (Wscast::Docs::blocks($file)) {
        next if $block->{lang} ne 'nginx';
        $n++;

        my ($main, $http) = Wscast::Docs::wrap($block->{info},
            $block->{text});
        ok(defined $http, "$block->{at} is a whole configuration") || next;

        my $host = Wscast::Host->new($http, plain => 1, files => {
            'redis.password'      => "secret\n",
            'conf/redis.password' => "secret\n",
            'conf/sentinel.password' => "secret\n",
            'conf/chat.key'       => "a secret of at least 32 bytes, it is\n",
            'conf/issuer.jwks'    => $JWKS,
            'conf/redis-ca.pem'   => content($CERT->{CERT}),
            'conf/wscast.pem'     => content($CERT->{CERT}),
            'conf/wscast.key'     => content($CERT->{KEY}),
        });

        if ($main ne '') {
            $main =~ s/^\s*load_module [^;]*;/'load_module '
                . Wscast::Host->module . ';'/me;
            $main .= 'events { }' if $main !~ /^events\b/m;
            $host->write_file('conf/nginx.conf',
                "pid $host->{dir}/nginx.pid;\n$main\n");
        }

        my ($ok, $out) = $host->test;
        ok($ok, "$block->{at} passes nginx -t") || diag($out);
    }
}

cmp_ok($n, '>', 20, 'there are examples');

done_testing();
