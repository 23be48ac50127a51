# Metrics, close reasons, errors and log lines: what the sources have and what
# the documentation lists is the same.

use lib 't/lib';
use Wscast;
use Wscast::Docs;
use Encode ();
use JSON::PP ();
use utf8;

binmode Test::More->builder->$_, ':encoding(UTF-8)'
    for 'output', 'failure_output';

sub same {
    my ($name, $documented, $known) = @_;
    my (%documented, %known);

    $documented{$_}++ for @$documented;
    $known{$_} = 1 for @$known;

    cmp_ok(scalar keys %known, '>', 2, "$name: the sources are read");
    is(join("\n", grep { !$documented{$_} } sort keys %known), '',
        "$name: nothing is left out");
    is(join("\n", grep { !$known{$_} } sort keys %documented), '',
        "$name: nothing is invented");
    is(join("\n", grep { $documented{$_} > 1 } sort keys %documented), '',
        "$name: nothing is told twice");

    return;
}

# -- metrics -------------------------------------------------------------

my @operations = Wscast::Docs::rows('docs/operations.md');

{
    my @known = map { lc } Wscast::Docs::text('src/base/counter.h')
        =~ /X\(\w+,\s+(\w+),\s+"(\w+)"/g;
    my @rows;

    while (my ($type, $name) = splice @known, 0, 2) {
        push @rows, "wscast_$name $type";
    }

    my %own = Wscast::Docs::text('src/worker/stats.c')
        =~ /stats_head\(b, "(\w+)", "(\w+)"/g;
    push @rows, map { "$_ $own{$_}" } keys %own;

    same('metrics', [map { $_->[0] =~ /^`(wscast_\w+)`$/ ? "$1 $_->[1]" : () }
        @operations], \@rows);
}

# -- close reasons -------------------------------------------------------

{
    my $table = Wscast::Docs::text('src/base/close.h');
    $table =~ s/\\\n\s*//g;
    my ($rows) = $table =~ /^#define WSCAST_CLOSE_TABLE\(X\)(.*)$/m;
    my (@texts, %labels);

    while ($rows =~ /X\(\w+,\s*(\d+),\s*\w+,\s*"(\w+)",\s*"([^"]+)"\)/g) {
        push @texts, ($1 > 1 ? $1 : '') . " $3";
        $labels{$2} = 1;
    }

    my ($codes) = Wscast::Docs::text('docs/protocol.md')
        =~ /^## Close codes$(.*)/ms;
    my @told = $codes =~ /^\| (\d*) ?\| `([^`]+)` \|/mg;
    my @documented;

    while (my ($code, $text) = splice @told, 0, 2) {
        push @documented, "$code $text";
    }

    same('close codes', \@documented, \@texts);
    same('reasons of closes', [map { $_->[0] =~ /^`([a-z0-9_]+)`$/
        && $_->[0] !~ /wscast_/ && @$_ == 2 ? $1 : () } @operations],
        [keys %labels]);
}

# -- errors --------------------------------------------------------------

sub errors {
    my ($file) = @_;
    return [map { $_->[0] =~ /^\d{3}$/ && ($_->[1] // '') =~ /^`(.*)`$/
        ? "$_->[0] $1" : () } Wscast::Docs::rows($file)];
}

{
    my $json = Wscast::Docs::text('src/dialect/json.c');
    my @known = map { "400 $_" } $json =~ /return "([^"]+)";/g,
        $json =~ /->reason = "([^"]+)";/g;
    my $session = Wscast::Docs::sources('src/session/*.c');

    while ($session =~ /session_error\(s,\s*[^,]+,\s*(\d+),\s*"([^"]+)",
        \s*([^)]+)\)/xg)
    {
        push @known, "$1 $2" . ($3 eq 'wscast_empty' ? '' : ' C');
    }

    my @told = grep { !/^1|^4[0-9]{3}/ } @{ errors('docs/protocol.md') };
    same('errors of the json dialect', \@told, \@known);
}

{
    my $api   = Wscast::Docs::text('src/http/api.h') =~ s/\\\n\s*//gr;
    my @known;

    while ($api =~ /\bX\(\w+,\s*(\d+),\s*"([^"]+)"\)/g) {
        push @known, "$1 $2" =~ s/ enabled on\K$/ C/r;
    }

    same('errors of the API', errors('docs/api.md'), \@known);
}

# -- log lines -----------------------------------------------------------

{
    my $source = Wscast::Docs::sources('src/{conn,bus,worker,http}/*.c');
    my @known;

    while ($source =~ /ngx_log_error\((.*?)\);/gs) {
        my $text = join '', $1 =~ /"((?:[^"\\]|\\.)*)"/g;
        next if $text !~ s/^wscast: //;
        $text =~ s/\\"/"/g;
        $text =~ s/%(?:\*s|ui|uz|V|s)/…/g;

        # which of two things is wrong stands behind the format
        $text =~ s/(?<=skipped: …)its .*//;
        $text =~ s/^(redis … to …: … answered "…")AUTHSELECT$/$1/;
        push @known, $text if $text ne '…';
    }

    my ($lines) = Wscast::Docs::text('docs/operations.md')
        =~ /^## The error log$(.*?)^## /ms;
    my @told = map { /`([^`]+)`/g } $lines =~ /^\| \w+ \| (`.*?) \|/mg;

    same('lines of the error log', \@told, \@known);
}

# -- JSON ----------------------------------------------------------------

{
    my %types;

    for my $file (Wscast::Docs::files()) {
        for my $block (grep { $_->{lang} eq 'json' }
            Wscast::Docs::blocks($file))
        {
            my $value = eval { JSON::PP::decode_json(
                Encode::encode_utf8($block->{text})) };
            ok(ref $value eq 'HASH', "$block->{at} is a JSON object")
                || diag($@);
            $types{ $value->{type} // '' } = 1;
        }
    }

    # these are for what is not there yet
    my %not_yet = map { $_ => 1 } qw(join leave presence history);
    my $json    = Wscast::Docs::text('src/dialect/json.c');
    my @known   = grep { !$not_yet{$_} }
        $json =~ /wscast_json_answer\(b, "(\w+)"/g,
        $json =~ /\\"type\\":\\"(\w+)/g,
        $json =~ /wscast_string\("(\w+)"\),\s+WSCAST_CMD/g;

    same('types of messages', [keys %types], \@known);
}

done_testing();
