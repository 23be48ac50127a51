# A little of what `make soak MODE=redis` does a thousand times.

use lib 't/lib', 't/chaos', 't/soak';
use Wscast;
use Soak;

Soak::run(mode => 'redis', seed => 4, kills => 12, reloads => 3,
    restarts => 3, rounds => 1);

done_testing();
