# A little of what `make soak MODE=embedded` does a thousand times.

use lib 't/lib', 't/chaos', 't/soak';
use Wscast;
use Soak;

Soak::run(mode => 'embedded', seed => 4, kills => 20, reloads => 5,
    rounds => 2);

done_testing();
