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
    my @known = map { lc } map { Wscast::Docs::text($_)
        =~ /X\(\w+,\s+(\w+),\s+"(\w+)"/g }
        'src/base/counter.h', 'src/worker/stats.c';
    my @rows;

    while (my ($type, $name) = splice @known, 0, 2) {
        push @rows, "wscast_$name $type";
    }

    my %own = Wscast::Docs::text('src/worker/stats.c')
        =~ /stats_head\(b, "(\w+)", "(\w+)"/g;
    push @rows, map { "$_ $own{$_}" } keys %own;

    for my $file (Wscast::Docs::files()) {
        my %rows = map { s/ .*//r => 1 } @rows;
        is(join(' ', grep { !$rows{$_} }
            Wscast::Docs::text($file) =~ /\b(wscast_\w+_total)\b/g), '',
            "$file names counters that exist");
    }

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

# String literals side by side are one, as for the compiler.

sub joined {
    my ($source) = @_;
    1 while $source =~ s/("(?:[^"\\\n]|\\.)*)"\s+"/$1/g;
    return $source;
}

{
    my $json = joined(Wscast::Docs::sources('src/dialect/json*.c'));
    my @known = map { "400 $_" } $json =~ /return "([^"]+)";/g,
        $json =~ /->reason = "([^"]+)";/g;
    my $session = joined(Wscast::Docs::sources('src/session/*.c'));

    while ($session =~ /session_error\(s,\s*[^,]+,\s*(\d+),\s*"([^"]+)",
        \s*([^)]+)\)/xg)
    {
        push @known, "$1 $2" . ($3 eq 'wscast_empty' ? '' : ' C');
    }

    my $calls = () = $session =~ /session_error\(s,/g;
    my $read  = () = $session =~ /session_error\(s,\s*[^,]+,\s*\d+,\s*"/g;

    # two pass a reason on: what the dialect or the token's verifier says
    is($calls - $read, 2, 'errors of the session: all are read');

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

# -- refused handshakes, refused tokens ----------------------------------

{
    my %status = (BAD_REQUEST => 400, UNAUTHORIZED => 401, FORBIDDEN => 403,
        TOO_MANY_REQUESTS => 429,
        TOO_MANY_REQUESTS => 429, INTERNAL_SERVER_ERROR => 500,
        SERVICE_UNAVAILABLE => 503);
    my $accept = Wscast::Docs::text('src/wire/accept.c');
    my $face   = joined(Wscast::Docs::sources(
        'src/http/{upgrade,params,identity}.c'));
    my $auth   = joined(Wscast::Docs::sources(
        'src/auth/{token,signature}.c'));
    my @known;

    while ($accept =~ /accept_refuse\(out,\s*(\d+),\s*"((?:[^"\\]|\\.)+)"/g) {
        push @known, "$1 " . $2 =~ s/\\"/"/gr;
    }

    while ($face =~ /refuse\(r, u, NGX_HTTP_(\w+),\s*"([^"]+)"/g) {
        push @known, "$status{$1} $2";
    }

    while ($face =~ /reason = "([^"]+)";(?:\s+return NGX_HTTP_(\w+))?/g) {
        push @known, ($2 ? $status{$2} : 500) . " $1";
    }

    push @known, map { "401 $_" } $auth =~ /reason = "([^"]+)";/g;

    same('refused handshakes', errors('docs/operations.md'), \@known);
}

# -- log lines -----------------------------------------------------------

{
    my $source = joined(
        Wscast::Docs::sources('src/{conn,bus,store,worker,http}/*.c'));
    my @levels = (ALERT => 'alert', CRIT => 'crit', ERR => 'error',
        WARN => 'warn', NOTICE => 'notice', INFO => 'info');
    my @known;

    while ($source =~ /ngx_log_error\(([^"]*)"((?:[^"\\]|\\.)*)"/gs) {
        my ($before, $text) = ($1, $2);
        next if $text !~ s/^wscast: // || $before =~ /NGX_LOG_EMERG/;

        # of two levels the worse one
        my ($level) = grep { $before =~ /\bNGX_LOG_$_\b/ }
            map { $levels[2 * $_] } 0 .. $#levels / 2;
        my %name = @levels;

        $text =~ s/\\"/"/g;
        $text =~ s/%(?:\*s|ui|uz|V|s|d)/…/g;
        push @known, ($level ? "$name{$level} " : '? ') . $text
            if $text ne '…';
    }

    my ($lines) = Wscast::Docs::text('docs/operations.md')
        =~ /^## The error log$(.*?)^## /ms;
    my @told;

    while ($lines =~ /^\| ([a-z]+) \| (`.*?) \|/mg) {
        my ($level, $cell) = ($1, $2);
        push @told, map { "$level $_" } $cell =~ /`([^`]+)`/g;
    }

    same('lines of the error log', \@told, \@known);
}

# -- rooms ---------------------------------------------------------------

{
    my ($table) = Wscast::Docs::text('t/lib/layers')
        =~ /^my %rooms = \((.*?)^\);/ms;
    my %words = (zlib => qr/\bzlib\b/, sha => qr/libcrypto in `accept/,
        crypto => qr/\blibcrypto(?! in)/, cjson => qr/\bcJSON\b/,
        hiredis => qr/\bhiredis in `redis/, event => qr/\bevent core\b/,
        http => qr/`ngx_http\.h`/);
    my (@known, @told, @above);

    while ($table =~ /(\w+)\s*=> \['([^']*)',\s*'([^']*)'/g) {
        my ($room, $rooms, $groups) = ($1, $2, $3);
        push @known, join ' ', $room, sort(split ' ', $rooms),
            sort grep { $words{$_} } split ' ', $groups;
    }

    for my $row (Wscast::Docs::rows('docs/contributing.md')) {
        my ($room) = ($row->[0] // '') =~ /^`([a-z]+)`$/ or next;
        my $may = $row->[2] // '';

        push @told, join ' ', $room, sort($may =~ /\ball above\b/ ? @above
            : grep { $may =~ /\b$_\b/ && $_ ne $room } @above),
            sort grep { $may =~ $words{$_}
                || $_ eq 'event' && $may =~ /\ball above, `ngx_http/ }
                keys %words;
        push @above, $room;
    }

    same('rooms', \@told, \@known);
}

# -- variables of make ---------------------------------------------------

{
    my ($set) = Wscast::Docs::text('Makefile')
        =~ /^# -- what a caller may set[^\n]*\n(.*?)^# -- /ms;
    my $building = Wscast::Docs::text('docs/building.md');
    my @names    = $set =~ /^([A-Z_]+) +=/mg;

    cmp_ok(scalar @names, '>', 10, 'variables of make are found');
    is(join(' ', grep { $building !~ /`$_(?:=|`)/ } @names), '',
        '... and told');
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

    my $json  = Wscast::Docs::sources('src/dialect/json*.c');
    my @known = (
        $json =~ /wscast_json_answer\(b, "(\w+)"/g,
        $json =~ /\\"type\\":\\"(\w+)/g,
        $json =~ /wscast_string\("(\w+)"\),\s+WSCAST_CMD/g,
    );

    same('types of messages', [keys %types], \@known);
}

done_testing();
