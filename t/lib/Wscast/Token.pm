package Wscast::Token;

# Keys and tokens (JWT), made with the openssl command and Digest::SHA.
#
#   Wscast::Token::jwt($secret, { sub => 'ann' })          HS256
#   Wscast::Token::jwt($secret, $claims, kid => 'a')       more of the header
#   Wscast::Token::private('rsa')    PEM: rsa, rsa1024, ec, p384, ed, ed448
#   Wscast::Token::public($pem)      its public half
#   Wscast::Token::certificate($pem)
#   Wscast::Token::signed('ES256', $pem, $claims, kid => 'a')
#   Wscast::Token::jwk($pem, kid => 'a')     of an RSA key, as a hash
#
# Claims are a hash, or JSON text that is signed as it is.

use strict;
use warnings;

use Digest::SHA ();
use JSON::PP ();
use MIME::Base64 ();

my $json = JSON::PP->new->canonical->utf8;
my $count = 0;

my %KIND = (
    rsa     => '-algorithm RSA -pkeyopt rsa_keygen_bits:2048',
    rsa1024 => '-algorithm RSA -pkeyopt rsa_keygen_bits:1024',
    ec      => '-algorithm EC -pkeyopt ec_paramgen_curve:P-256',
    p384    => '-algorithm EC -pkeyopt ec_paramgen_curve:P-384',
    ed      => '-algorithm ED25519',
    ed448   => '-algorithm ED448',
);

sub base64url { return MIME::Base64::encode_base64url($_[0], '') }

sub input {
    my ($alg, $claims, %header) = @_;

    return join '.', map { base64url($_) }
        $json->encode({ alg => $alg, typ => 'JWT', %header }),
        ref $claims ? $json->encode($claims) : $claims;
}

sub jwt {
    my ($secret, $claims, %header) = @_;
    my $input = input('HS256', $claims, %header);

    return $input . '.'
        . base64url(Digest::SHA::hmac_sha256($input, $secret));
}

# Runs openssl; a hash names files that are written for it: $name in arguments.

sub openssl {
    my ($args, %files) = @_;
    my $dir = Wscast::scratch() . '/openssl' . ++$count;

    mkdir $dir or die "mkdir $dir: $!\n";

    for my $name (keys %files) {
        open my $out, '>:raw', "$dir/$name" or die "$dir/$name: $!\n";
        print $out $files{$name};
        close $out;
        $args =~ s/\$$name\b/$dir\/$name/g;
    }

    my $out = `openssl $args 2>$dir/stderr`;
    die "openssl $args failed\n" if $? || !length $out;

    return $out;
}

sub private { return openssl("genpkey $KIND{ $_[0] }") }
sub public  { return openssl('pkey -pubout -in $pem', pem => $_[0]) }

sub certificate {
    return openssl('req -x509 -new -subj /CN=issuer -days 2 -key $pem',
        pem => $_[0]);
}

sub signed {
    my ($alg, $pem, $claims, %header) = @_;
    my $input = input($alg, $claims, %header);
    my $how = $alg eq 'EdDSA' ? 'pkeyutl -sign -rawin -in $input -inkey $pem'
        : 'dgst -sha256 -sign $pem'
            . ($alg eq 'PS256' ? ' -sigopt rsa_padding_mode:pss'
                . ' -sigopt rsa_pss_saltlen:digest' : '') . ' $input';
    my $signature = openssl($how, pem => $pem, input => $input);

    $signature = raw_ecdsa($signature) if $alg eq 'ES256';

    return $input . '.' . base64url($signature);
}

# ASN.1: SEQUENCE { INTEGER r, INTEGER s } becomes r and s of 32 bytes each.

sub raw_ecdsa {
    my ($der) = @_;
    my (undef, undef, $r, $s) = unpack 'C C xC/a xC/a', $der;

    return join '', map { substr("\0" x 32 . $_, -32) } $r, $s;
}

sub jwk {
    my ($pem, %more) = @_;
    my $text = openssl('rsa -noout -modulus -in $pem', pem => $pem);
    my ($modulus) = $text =~ /Modulus=([0-9A-F]+)/ or die "no modulus\n";

    return { kty => 'RSA', n => base64url(pack 'H*', $modulus), e => 'AQAB',
        %more };
}

1;
