package Wscast::Host;

# One nginx: a master with its workers, a prefix of its own, free ports.
#
# The configuration is what stands inside http { }.  Placeholders in it:
#
#   %%PORT%%  %%PORT_x%%   a free port; the same name is the same port
#   %%PREFIX%%             the directory of this host
#   %%REDIS_PORT%%  %%REDIS_SOCKET%%   of the server given as redis => ...
#   %%CERT%%  %%KEY%%      a self-signed certificate for localhost
#
# Options:
#
#   workers => N       worker_processes; 0 is master_process off
#   connections => N   worker_connections
#   main, events       directives for these contexts
#   redis => $redis    see above
#   daemon => 1        nginx leaves the foreground; upgrade() needs it
#   plain => 1         no status server, no gauges: the module is not examined
#   no_module => 1     without load_module
#   trim => 1          workers give back what the allocator keeps, so that
#                      memory() is what they hold
#   gauges => 0        the gauges are not examined at the end
#   files => { name => text }    put into the prefix before nginx starts

use strict;
use warnings;

use parent 'Wscast::Closing';

use IO::Socket::INET;
use JSON::PP ();
use POSIX qw(:sys_wait_h);
use Time::HiRes ();
use Wscast::Http;

my $count = 0;

sub new {
    my ($class, $config, %option) = @_;
    my $dir = Wscast::scratch() . '/host' . ++$count;

    -d $_ or mkdir $_ or die "mkdir $_: $!\n"
        for $dir, "$dir/logs", "$dir/tmp", "$dir/conf";

    my $self = bless {
        workers     => 2,
        connections => 2048,
        %option,
        dir         => $dir,
        ports       => {},
        expected    => [],
        name        => $option{name} // "host $count",
    }, $class;

    for my $name (sort keys %{ $option{files} // {} }) {
        $self->write_file($name, $option{files}{$name});
    }

    $self->configure($config);

    return $self;
}

# -- configuration -------------------------------------------------------

sub dir      { return $_[0]{dir} }
sub pid      { return $_[0]{pid} }
sub log_file { return "$_[0]{dir}/logs/error.log" }

sub port {
    my ($self, $name) = @_;
    return $self->{ports}{ $name // 'PORT' } //= Wscast::free_port();
}

sub write_file {
    my ($self, $name, $text) = @_;
    my $file = "$self->{dir}/$name";

    open my $f, '>', $file or die "$file: $!\n";
    binmode $f;
    print {$f} $text;
    close $f or die "$file: $!\n";

    return $file;
}

sub module {
    return $ENV{WSCAST_MODULE}
        // "$Wscast::ROOT/build/ngx_http_wscast_module.so";
}

sub _expand {
    my ($self, $text) = @_;

    $text =~ s/%%(PORT\w*)%%/$self->port($1)/ge;
    $text =~ s/%%PREFIX%%/$self->{dir}/g;
    $text =~ s/%%REDIS_PORT%%/$self->{redis}->port/ge;
    $text =~ s/%%REDIS_SOCKET%%/$self->{redis}->socket/ge;
    $text =~ s/%%(CERT|KEY)%%/_certificate()->{$1}/ge;

    return $text;
}

sub _certificate {
    my $dir  = Wscast::scratch();
    my %file = (CERT => "$dir/cert.pem", KEY => "$dir/key.pem");

    if (!-e $file{CERT}) {
        system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
            . "-subj /CN=localhost -addext subjectAltName=DNS:localhost "
            . "-keyout $file{KEY} -out $file{CERT} 2>/dev/null") == 0
            or die "cannot make a certificate\n";
    }

    return \%file;
}

my $TEMPLATE = <<'CONF';
daemon %%DAEMON%%;
pid %%PREFIX%%/nginx.pid;
error_log %%PREFIX%%/logs/error.log info;
%%MAIN%%
events {
    worker_connections %%CONNECTIONS%%;
    %%EVENTS%%
}

http {
    access_log %%PREFIX%%/logs/access.log;
    client_body_temp_path %%PREFIX%%/tmp/body;
    proxy_temp_path %%PREFIX%%/tmp/proxy;
    fastcgi_temp_path %%PREFIX%%/tmp/fastcgi;
    uwsgi_temp_path %%PREFIX%%/tmp/uwsgi;
    scgi_temp_path %%PREFIX%%/tmp/scgi;
    %%STATUS%%
    %%CONFIG%%
}
CONF

my $STATUS = <<'CONF';
    server {
        listen 127.0.0.1:%%PORT_status%%;
        access_log off;
        location / { wscast_status; }
    }
CONF

sub configure {
    my ($self, $config) = @_;
    my $n    = $self->{workers};
    my $main = $self->{main} // '';

    $main .= "load_module " . $self->module . ";\n" if !$self->{no_module};
    $main .= "user root;\n" if $> == 0;
    $main .= $n ? "worker_processes $n;\n" : "master_process off;\n";

    my %part = (
        MAIN        => $main,
        DAEMON      => $self->{daemon} ? 'on' : 'off',
        CONNECTIONS => $self->{connections},
        EVENTS      => $self->{events} // '',
        STATUS      => $self->{plain} ? '' : $STATUS,
        CONFIG      => $config,
    );
    my $text = $TEMPLATE;
    $text =~ s/%%($_)%%/$part{$1}/ for sort keys %part;

    $self->write_file('conf/nginx.conf', $self->_expand($text));

    return;
}

# -- processes -----------------------------------------------------------

sub _command {
    my ($self, @more) = @_;

    return (_binary(), '-p', "$self->{dir}/",
        '-e', $self->log_file, '-c', 'conf/nginx.conf', @more);
}

# With its path: an upgrade executes what nginx was called as.

sub _binary {
    my $name = $ENV{WSCAST_NGINX} // 'nginx';
    return $name if $name =~ m{/};
    my ($file) = grep { -x } map { "$_/$name" } split /:/, $ENV{PATH};
    return $file // $name;
}

sub _spawn {
    my ($self, $output, @command) = @_;
    my $trim = $self->{trim} ? Wscast::trim() : undef;
    my $pid = fork // die "fork: $!\n";

    return $pid if $pid;

    if ($ENV{WSCAST_PRELOAD}) {
        $ENV{LD_PRELOAD} = $ENV{WSCAST_PRELOAD};
        $ENV{ASAN_OPTIONS} //= join ':', 'detect_leaks=1',
            "log_path=$self->{dir}/logs/sanitizer",
            $ENV{WSCAST_ASAN_OPTIONS} // ();    # a test's own
        $ENV{UBSAN_OPTIONS} //= 'print_stacktrace=1'
            . ":log_path=$self->{dir}/logs/sanitizer";

    } elsif ($trim) {
        $ENV{LD_PRELOAD} = $trim;
    }

    open STDIN,  '<',  '/dev/null';
    open STDOUT, '>>', $output;
    open STDERR, '>&', \*STDOUT;
    { exec @command }
    POSIX::_exit(127);
}

sub test {
    my ($self) = @_;
    my $output = "$self->{dir}/logs/test";

    # leaks of a process that gives up at once are nobody's concern
    local $ENV{ASAN_OPTIONS} = 'detect_leaks=0' if $ENV{WSCAST_PRELOAD};
    my $pid = $self->_spawn($output, $self->_command('-t', '-q'));

    waitpid $pid, 0;
    my $status = $?;
    my $text   = slurp($output);
    $text .= "ended with status $status" if $status && $status != 256;

    return ($status == 0 ? 1 : 0, $text);
}

sub start {
    my ($self) = @_;

    delete @$self{qw(ended status)};
    $self->{pid} = $self->_spawn("$self->{dir}/logs/output",
        $self->_command);

    $self->_adopt if $self->{daemon};

    my $up = Wscast::wait_until(sub {
        return 1 if $self->_reap;
        return -s "$self->{dir}/nginx.pid"
            && $self->workers >= $self->{workers} && $self->_listens;
    }, 15);

    die "$self->{name}: nginx did not start\n" if !$up || $self->{ended};

    return $self;
}

# The master is nobody's child, or that of another master.

sub _adopt {
    my ($self) = @_;

    waitpid $self->{pid}, 0;
    die "$self->{name}: nginx did not start\n" if $?;
    $self->{pid} = Wscast::wait_until(sub { $self->_pid_file('') });
    $self->{adopted} = 1;

    return;
}

sub _pid_file {
    my ($self, $suffix) = @_;
    return slurp("$self->{dir}/nginx.pid$suffix") =~ /^(\d+)/ ? $1 : 0;
}

# Starts another nginx beside this one, as one does to replace its binary: this
# host is the new one from then on.  Returns the old one.

sub upgrade {
    my ($self) = @_;
    my $old = bless { %$self, name => "the old $self->{name}" }, ref $self;

    $old->signal('USR2');
    my $there = Wscast::wait_until(sub {
        my $pid = $self->_pid_file('');
        return 0 if !$pid || $pid == $old->{pid}
            || $self->_pid_file('.oldbin') != $old->{pid};
        $self->{pid} = $pid;
        return $self->workers >= $self->{workers};
    }, 15);

    die "$self->{name}: no new nginx\n" if !$there;
    $self->{before} = $old;

    return $old;
}

sub _reap {
    my ($self) = @_;

    return 1 if $self->{ended};

    if ($self->{adopted}) {
        return 0 if slurp("/proc/$self->{pid}/stat") =~ /\) [^ZX] /;
        $self->{status} = 0;
        return $self->{ended} = 1;
    }

    return 0 if waitpid($self->{pid}, WNOHANG) != $self->{pid};

    $self->{status} = $?;

    return $self->{ended} = 1;
}

sub _listens {
    my ($self) = @_;

    for my $port (values %{ $self->{ports} }) {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port,
            Timeout => 1) or return 0;
    }

    return 1;
}

# Pids of the workers; old => 1: of those that are shutting down.

sub workers {
    my ($self, %option) = @_;
    my $want = $option{old} ? qr/^nginx: worker process is shutting down/
                            : qr/^nginx: worker process$/;
    my @pids;

    return $option{old} ? () : $self->{pid} if !$self->{workers};

    for my $stat (glob '/proc/[0-9]*/stat') {
        my ($pid, $ppid) = slurp($stat) =~ /^(\d+) \(.*\) \S (\d+)/s
            or next;
        next if $ppid != $self->{pid};
        push @pids, $pid if _title($pid) =~ $want;
    }

    @pids = sort { $a <=> $b } @pids;

    return @pids;
}

# The worker that is subscribed in Redis for this host, as it said last.

sub leader {
    my ($self, $hub) = @_;
    my $name = $hub // '[^"]+';
    my @pids = $self->log_text =~ /\s(\d+)\#\d+:\s(?:\*\d+\s)?wscast:\sthis
        \sworker\s(?:subscribes|takes\sover)\s[^"]+"$name"/xg;
    return $pids[-1];
}

# Stops a worker that waits for events: one that holds the lock of the shared
# memory would take all others with it, as nobody can tell that it is not at
# work.

sub stop_worker {
    my ($self, $pid) = @_;
    my %waits = map { $_ => 1 } 232, 281, 22;     # epoll_wait, epoll_pwait

    return Wscast::wait_until(sub {
        kill 'STOP', $pid;
        Wscast::wait_until(sub { slurp("/proc/$pid/stat") =~ /\) T / }, 2);
        my ($call) = slurp("/proc/$pid/syscall") =~ /^(\d+)/;
        return 1 if !defined $call || $waits{$call};
        kill 'CONT', $pid;
        return 0;
    });
}

sub _title {
    my ($pid) = @_;
    my $line = slurp("/proc/$pid/cmdline");
    $line =~ s/[\0\s]+\z//;
    return $line;
}

# Of these processes those that are still nginx's.

sub still {
    my ($self, @pids) = @_;
    return grep { _title($_) =~ /^nginx: / } @pids;
}

sub signal {
    my ($self, $signal) = @_;
    return kill $signal, $self->{pid};
}

# Reloads, with another configuration if one is given, and waits until all
# workers that take connections are new ones.

sub reload {
    my ($self, $config) = @_;
    my %old = map { $_ => 1 } $self->workers;

    $self->configure($config) if defined $config;
    $self->signal('HUP');

    my $done = Wscast::wait_until(sub {
        my @now = $self->workers;
        return @now >= $self->{workers} && !grep { $old{$_} } @now;
    }, 15);

    die "$self->{name}: no new workers after a reload\n" if !$done;

    return;
}

# Asks for the end and tells how it came: the status of waitpid, or nothing if
# it had to be enforced.

sub quit {
    my ($self, %option) = @_;

    return $self->{status} if !$self->{pid} || $self->_reap;

    $self->signal($option{signal} // 'QUIT');

    return $self->{status} if $self->wait_end($option{within} // 20);

    $self->_force;

    return;
}

sub wait_end {
    my ($self, $seconds) = @_;
    return Wscast::wait_until(sub { $self->_reap }, $seconds);
}

sub _force {
    my ($self) = @_;
    my @left = ($self->workers, $self->workers(old => 1));

    for my $signal ('TERM', 'KILL') {
        kill $signal, $self->{pid};
        last if $self->wait_end(5);
    }

    kill 'KILL', $self->still(@left);

    return;
}

# The machine loses its power: kill -9 of all at once.  It does not count as
# running any more, nor is its log examined for how it ended.

sub crash {
    my ($self) = @_;
    kill 'KILL', $self->{pid}, $self->workers, $self->workers(old => 1);
    $self->wait_end(5);
    $self->{crashed} = 1;
    return;
}

sub abandon {
    my ($self) = @_;
    $self->_force if $self->{pid} && !$self->_reap;
    $self->{before}->abandon if $self->{before};
    return;
}

# -- requests ------------------------------------------------------------

sub http {
    my ($self, $method, $path, %option) = @_;
    return Wscast::Http::request($option{port} // $self->port, $method,
        $path, %option);
}

sub ws {
    my ($self, $path, %option) = @_;
    return Wscast::WebSocket->new($option{port} // $self->port, $path,
        %option);
}

# wscast_status as JSON; of one hub, or of the only one.

sub status {
    my ($self) = @_;
    my $r = $self->http('GET', '/?format=json',
        port => $self->port('PORT_status'));

    die "wscast_status: $r->{status}\n" if $r->{status} != 200;

    return JSON::PP::decode_json($r->{body});
}

sub hub {
    my ($self, $name) = @_;
    my $hubs = $self->status->{hubs};
    return defined $name ? $hubs->{$name} : (values %$hubs)[0];
}

# Every worker has its connection to Redis, and one of them the subscriber's.

sub has_redis {
    my ($self, $name) = @_;
    my $hub = $self->hub($name);
    return $hub->{redis_up}
        && $hub->{redis_links} == ($self->{workers} || 1) + 1;
}

# Private memory of all workers, in kilobytes; AddressSanitizer keeps up to
# 256 MB of what is freed, so that under it only more than that means anything.

sub memory {
    my ($self) = @_;
    my $sum = 0;

    for my $pid ($self->workers) {
        $sum += $1 if slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m;
    }

    return $sum;
}

# Seconds of the processor that the workers have used: where other processes
# are busy as well, that tells better than a clock on the wall how long somebody
# had to wait for them.

sub cpu {
    my ($self) = @_;
    my $sum = 0;

    # the clock of another process: clock_getcpuclockid(3)
    $sum += Time::HiRes::clock_gettime(-(($_ + 1) << 3) | 2)
        for $self->workers;

    return $sum;
}

sub descriptors {
    my ($self) = @_;
    my $n = 0;

    $n += () = glob "/proc/$_/fd/*" for $self->workers;

    return $n;
}

# What the workers hold, and whether it is what it was: descriptors and bytes of
# the zone exactly, private memory but for buffers that have grown (with trim;
# or else what an allocator keeps tells of the busiest moment, not of this one).

sub holds {
    my ($self) = @_;
    my $hub = $self->hub;

    # that of a request is closed behind its answer
    my ($least) = sort { $a <=> $b } map {
        Time::HiRes::sleep(0.05);
        $self->descriptors;
    } 1 .. 5;

    return { descriptors => $least, memory => $self->memory,
        zone => $hub->{zone_used_bytes} };
}

sub holds_no_more {
    my ($self, $before) = @_;
    my ($now, $slack) = (undef, Wscast::asan() ? 300_000 : 3_000);

    return 1 if Wscast::wait_until(sub {
        $now = $self->holds;
        return $now->{descriptors} == $before->{descriptors}
            && $now->{zone} == $before->{zone}
            && $now->{memory} < $before->{memory} + $slack;
    }, 30);

    Test::More::diag("$self->{name} $_: $now->{$_}, before $before->{$_}")
        for sort keys %$now;
    return 0;
}

# -- what is left behind -------------------------------------------------

sub slurp {
    my ($file) = @_;

    open my $f, '<', $file or return '';
    binmode $f;
    local $/;

    return readline($f) // '';
}

sub log_text    { return slurp($_[0]->log_file) }
sub access_text { return slurp("$_[0]{dir}/logs/access.log") }

1;
