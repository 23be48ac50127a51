package Bench::Text;

# What docs/performance.md says around its tables.

use strict;
use warnings;

our $head = <<'E';
# Performance

`make bench` measures what is here, prints it and writes this page: all but the last part, in less than ten minutes. `make bench BENCH='echo redis'`
repeats some parts, `make bench BENCH=all` does all of them; `ROUNDS=90` takes each figure so often, instead of 40 times. It needs a machine with two
cores that has nothing else to do, and root or `sudo` to install the peers.

## How it is measured

- The server has one core, the load (`t/bench/load`) the other, over loopback. Most of the time of a delivery is the kernel's, and the same for everybody. So
  there is a yardstick: *the floor* (`t/bench/floor`), a server that does nothing but read a frame and send it on, with one `send()` for each
  subscriber. Nobody can be cheaper, but by sending less often: the *coalescing* floor sends what one read brought in one `send()`.
- All candidates run at the same time, connected and idle, and are taken in turn for a twentieth of a second, round after round. A ratio is one of two figures of
  the same round, and the median of the rounds counts: on a virtual machine the same program differs by a quarter between two minutes. With 10,000 clients, where
  one message takes longer than that, there are half as many rounds, and with 16 in flight nchan and `ws` take part in every fourth.
  The other parts have longer turns, and fewer.
- Two things of the kernel's would be counted as the server's over loopback, as they would not be over a network, and are kept out where a delivery is measured.
  Who sends to a core that sleeps must wake it, which on a virtual machine takes longer than all else: so the load does not sleep. And who has heard nothing
  for longer than his retransmission timeout acknowledges the next 16 packets one by one: so all runs in a network of its own (`t/bench/network`), where that
  timeout is a minute.
- The load checks every byte of every delivery, its order and its number. A single message that is lost, comes twice, late or changed fails the run, and
  `t/bench/checker.t` tests with servers that do so that it is seen.
- The peers are as Debian and npm ship them: nchan, an nginx module in C, and `ws`, the usual server in Node.
E

our %parts = (
    fanout => ['One channel', <<'E'],
Processor time of the worker, user and system, for each delivery: that of the floor in microseconds, and how many times that much the others take. *One at a
time* means that the next message is published when all have got the last one, so that nobody can put two into one packet: what a
peer takes beyond the floor is all that can be gained on it. With 16 in flight a server may. The floor puts together what it has read at once; wscast gives each
subscriber what has come until his turn, which is more, and can be below one. *One after the other* means that the next message is published when the first
subscriber has the last one: so most of them can be given two. `text` and `json` are wscast's dialects, with one worker and without Redis;
`2 workers`, `Redis` and the two together are the `text` dialect. *floor ÷ nchan* is what the best server could have in the column before it.
E
    user => ['Whose time it is', <<'E'],
*User* is what is spent in nginx and wscast, *system* what the kernel takes for them. It samples which is which, so that this is rough.
E
    burst => ['A burst', <<'E'],
A server that leaves Nagle's algorithm on lets the end of a burst wait for an acknowledgement, up to 40 ms.
E
    echo => ['Echo', ''],
    cycle => ['Coming and going', ''],
    idle => ['Idle clients', <<'E'],
Beyond what nginx has laid out for its `worker_connections`. The kernel's own memory of a socket is not counted.
E
    channels => ['Many channels', <<'E'],
As many deliveries are under way as with the one channel of as many clients, which gets one message at a time.
E
    hot => ['A hot channel', <<'E'],
One worker. The HTTP request is one for `return 200`, every 10 ms, on an open connection; the quiet channel has 10 subscribers and 50 messages a second. What
measures shares its core with what receives the hot channel, and is slowed down by that: the first line has nothing hot.
E
    redis => ['Redis', <<'E'],
Publishers on one host, one reader on another, one worker each. The two nginx share a core, and Redis shares the other with the load; `nginx` is the sum of both
hosts.
E
    deflate => ['Compression', <<'E'],
`wscast_deflate on`: a message is compressed once, for all.
E
    crowd => ['Fifty thousand', <<'E'],
Three workers, because no process of the machine that this was measured on may have more than 20,000 files open.
E
    soak => ['A million connections', ''],
);

1;
