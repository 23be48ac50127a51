package Wscast::Deflate;

# permessage-deflate as a client has it (RFC 7692), with zlib's own functions.
#
#   my $z = Wscast::Deflate->new($answer, $offer);    what was agreed on
#   $z->{client_bits}, $z->{client_fresh}, $z->{server_bits}
#   my $payload = $z->pack($message);       takes the context over if it may
#   my $message = $z->unpack($payload);     with no context, nor a larger window
#
# An answer that RFC 7692 forbids dies, and so does what cannot be unpacked.
# Compress::Raw::Zlib is part of Perl.

use strict;
use warnings;

use Carp qw(croak);
use Compress::Raw::Zlib;

use constant TAIL => "\x00\x00\xff\xff";

sub new {
    my ($class, $answer, $offer) = @_;
    my ($name, @params) = split /; /, $answer;
    my $self = bless { server_bits => 15, client_bits => 15, level => 6 },
        $class;

    my $offered = join ', ', ref $offer ? @$offer : $offer // '';

    croak "extension '$answer' was not offered"
        if $name ne 'permessage-deflate' || $offered !~ /permessage-deflate/;

    my %seen;

    for my $param (@params) {
        my ($key, $value) = $param =~ /^(\w+)(?:=([89]|1[0-5]))?$/
            or croak "odd parameter '$param' in the answer";

        croak "repeated parameter '$key' in the answer" if $seen{$key}++;

        my ($whose, $what) = $key
            =~ /^(server|client)_(no_context_takeover|max_window_bits)$/
            or croak "unknown parameter '$param' in the answer";

        croak "odd parameter '$param' in the answer"
            if defined $value xor $what eq 'max_window_bits';
        croak "$key was not offered"
            if $key eq 'client_max_window_bits' && $offered !~ /$key/;

        $self->{"${whose}_fresh"} = 1 if !defined $value;
        $self->{"${whose}_bits"} = $value if defined $value;
    }

    croak 'server takes its context over' if !$self->{server_fresh};

    return $self;
}

# What zlib makes of a message; option: bits (of the window), level, flush.

sub pack {
    my ($self, $message, %option) = @_;
    my $z = $self->{deflater};

    if (!$z) {
        ($z, my $status) = Compress::Raw::Zlib::Deflate->new(
            WindowBits => -($option{bits} // _bits($self->{client_bits})),
            Level => $option{level} // $self->{level}, AppendOutput => 1);
        croak "zlib: $status" if !$z;
    }

    my $out = '';

    $z->deflate($message, $out) == Z_OK or croak 'zlib: deflate';
    $z->flush($out, $option{flush} // Z_SYNC_FLUSH) == Z_OK
        or croak 'zlib: flush';
    $out =~ s/\Q${\TAIL}\E\z//;

    $self->{deflater} = $z if !$self->{client_fresh};

    return length $out ? $out : "\x00";
}

# zlib has no raw window of 8 bits; its own of 9 reaches no farther back than
# one of 8 would.

sub _bits {
    my ($bits) = @_;
    return $bits == 8 ? 9 : $bits;
}

sub unpack {
    my ($self, $payload) = @_;
    my ($z, $status) = Compress::Raw::Zlib::Inflate->new(
        WindowBits => -$self->{server_bits}, AppendOutput => 1);

    croak "zlib: $status" if !$z;

    my $out = '';
    my $in  = $payload . TAIL;

    $status = $z->inflate($in, $out);
    croak "server sent what cannot be unpacked: $status"
        if $status != Z_OK && $status != Z_BUF_ERROR || length $in;

    return $out;
}

1;
