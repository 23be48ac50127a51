# A little of what `make soak` does a thousand times.

use lib 't/lib', 't/chaos', 't/soak';
use Wscast;
use Soak;

Soak::run(mode => 'redis', seed => 4, kills => 10, reloads => 3,
    restarts => 3, rounds => 2);
Soak::run(mode => 'embedded', seed => 4, kills => 10, reloads => 2,
    rounds => 2);

done_testing();
