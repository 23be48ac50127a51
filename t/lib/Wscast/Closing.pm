package Wscast::Closing;

# What a host must be like at its end; a part of Wscast::Host.  It counts no
# connection any more, ends by itself when it is asked to, leaves no process,
# and has nothing alarming in its logs.

use strict;
use warnings;

use Test::More ();

# Lines that would be a failure elsewhere are what this test provokes.

sub expect_log {
    my ($self, $pattern) = @_;
    push @{ $self->{expected} }, $pattern;

    # nginx's master says so, too, of a worker that was killed with the lock

    push @{ $self->{expected} }, qr/shared memory zone "[^"]+" was locked by/
        if 'worker process 1 exited on signal 9' =~ $pattern;

    return;
}

sub _complaints {
    my ($self) = @_;
    my @lines;

    for my $line (split /\n/, $self->log_text) {
        next if $line !~ /\[(?:alert|emerg|crit)\]/
            && $line !~ /worker process \d+ exited with code [1-9]/;
        next if grep { $line =~ $_ } @{ $self->{expected} };
        push @lines, $line;
    }

    for my $file (glob "$self->{dir}/logs/{output,sanitizer*,error.log}") {
        push @lines, map { "$file: $_" } grep {
            /(?:Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer/
                || /: runtime error: /
        } split /\n/, Wscast::Host::slurp($file);
    }

    return @lines;
}

sub _gauges {
    my ($self) = @_;
    my $left;

    my $zero = Wscast::wait_until(sub {
        my $hubs = eval { $self->status->{hubs} };
        $left = $hubs ? '' : "no status: $@";
        return 0 if !$hubs;

        $left = join ', ', map { "$_: $hubs->{$_}{connections}" }
            grep { $hubs->{$_}{connections} != 0 } sort keys %$hubs;

        return $left eq '';
    }, 10);

    Test::More::ok($zero, "no connection is counted on $self->{name}")
        || Test::More::diag($left);

    return;
}

sub closing_checks {
    my ($self) = @_;

    return if !$self->{pid} || $self->{crashed} || $self->{checked}++;

    local $Test::Builder::Level = $Test::Builder::Level + 2;

    if (!$self->_reap && !$self->{plain} && ($self->{gauges} // 1)) {
        $self->_gauges;
    }

    my @pids   = ($self->workers, $self->workers(old => 1));
    my $status = $self->quit;

    Test::More::is($status, 0, "$self->{name} ends by itself with status 0");

    my @alive = $self->still(@pids);
    Test::More::is("@alive", '', "no process of $self->{name} is left");

    my @lines = $self->_complaints;
    splice @lines, 20 if @lines > 20;
    Test::More::is(join("\n", @lines), '',
        "nothing alarming in the logs of $self->{name}");

    $self->explain if !Test::More->builder->is_passing;

    return;
}

sub explain {
    my ($self) = @_;

    for my $file (glob "$self->{dir}/logs/{error.log,output,sanitizer*}") {
        my @lines = split /\n/, Wscast::Host::slurp($file);
        next if !@lines;
        splice @lines, 0, @lines - 40 if @lines > 40;
        Test::More::diag("--- the end of $file\n",
            join "\n", map { substr $_, 0, 300 } @lines);
    }

    return;
}

1;
