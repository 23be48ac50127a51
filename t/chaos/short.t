# Two minutes of what `make chaos` does for as long as it is told: two hosts
# with Redis, then one without.  With these seeds everything happens that can
# happen.

use lib 't/lib', 't/chaos';
use Wscast;
use Chaos;

my @pause = (pause => asan() ? 1 : 0.5, all => 1);

Chaos::run(mode => 'redis', seconds => 75, seed => 7, @pause);
Chaos::run(mode => 'embedded', seconds => 25, seed => 15, @pause);

done_testing();
