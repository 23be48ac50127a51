# Two thirds of a minute with Redis, and a third without, of what `make chaos`
# does for as long as it is told.  With this seed everything happens.

use lib 't/lib', 't/chaos';
use Wscast;
use Chaos;

my @dense = (seed => 18, pause => asan() ? 1 : 0.5);

Chaos::run(mode => 'redis', seconds => 40, @dense);
Chaos::run(mode => 'embedded', seconds => 20, @dense);

done_testing();
