# What docs/operations.md says of rotating logs, and the rules for Prometheus:
# those of the page, with names that exist.

use lib 't/lib';
use Wscast;
use Wscast::Docs;
use CPAN::Meta::YAML;
use Encode ();

# -- alerts --------------------------------------------------------------

my $rules = eval { CPAN::Meta::YAML->read_string(
    Wscast::Docs::text('docs/examples/alerts.yml'))->[0] };
is($@, '', 'the rules are YAML');

my @rules = map { @{ $_->{rules} } } @{ $rules->{groups} };
my %told  = map { $_->[0] =~ /^`(.*\bwscast_.*[<>=].*)`$/
    ? ($1 => $_->[1]) : () } Wscast::Docs::rows('docs/operations.md');

cmp_ok(scalar @rules, '>', 10, 'there are rules');
is(join("\n", sort map { $_->{expr} } @rules), join("\n", sort keys %told),
    'they are those of the page');

my %seen;
is(join(' ', grep { $seen{$_}++ } map { $_->{alert} } @rules), '',
    'each has a name of its own');
is(scalar(grep { $_->{annotations}{summary} && $_->{labels}{severity} }
    @rules), scalar @rules, '... a summary and a severity');

my %known = map { $_ => 1 } map { Wscast::Docs::text($_)
    =~ /X\(\w+,\s+\w+,\s+"(\w+)"/g } 'src/base/counter.h',
    'src/worker/stats.c';
$known{closes_total} = 1;

my %labels = map { $_ => 1 } Wscast::Docs::text('src/base/close.h')
    =~ /X\(\w+,\s*\d+,\s*\w+,\s*"(\w+)"/g;

for my $rule (@rules) {
    my $expr = $rule->{expr};
    is(join(' ', grep { !$known{$_} } $expr =~ /\bwscast_(\w+)/g), '',
        "$rule->{alert}: its metrics exist");
    is(join(' ', grep { !$labels{$_} } $expr =~ /reason="(\w+)"/g), '',
        '... and its reasons');
    is($expr =~ tr/(//, $expr =~ tr/)//, '... and its brackets match');
}

# -- logs ----------------------------------------------------------------

my $nginx = host(<<'CONF', workers => 2);
wscast_hub chat { zone 4m; }

server {
    listen 127.0.0.1:%%PORT%%;

    location /ws {
        wscast        chat;
        wscast_allow  all "*";
        wscast_drain  1h;
    }
}
CONF

sub lines {
    my ($file) = @_;
    open my $in, '<', $file or return 0;
    return scalar grep { /wscast: .*while serving a websocket/ } readline $in;
}

my $log = $nginx->log_file;
my $old = $nginx->ws('/ws');
$old->recv;

$nginx->reload;
ok(wait_until(sub { $nginx->workers(old => 1) == 1 }, 10),
    'a worker drains: it has a client');
rename $log, "$log.1" or die "rename: $!\n";
$nginx->signal('USR1');
ok(wait_until(sub { -e $log }, 10), 'the log is opened anew');

# each worker opens it when it gets the signal
ok(wait_until(sub {
    my $all = 1;

    for my $pid ($nginx->workers, $nginx->workers(old => 1)) {
        $all = 0 if grep { (readlink($_) // '') eq "$log.1" }
            glob "/proc/$pid/fd/*";
    }

    return $all;
}, 10), '... by all workers');

my $before = lines("$log.1");
my $new    = $nginx->ws('/ws');
$new->recv;
$_->drop for $new, $old;

ok(wait_until(sub { lines($log) == 2 }, 10),
    'lines of new and old workers go there') || diag(lines($log));
is(lines("$log.1"), $before, 'the old file gets none');

done_testing();
