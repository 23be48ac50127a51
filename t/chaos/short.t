# Half a minute with Redis and a quarter without of what `make chaos` does for
# as long as it is told.

use lib 't/lib', 't/chaos';
use Wscast;
use Chaos;

Chaos::run(mode => 'redis', seed => 4, seconds => 30);
Chaos::run(mode => 'embedded', seed => 4, seconds => 15);

done_testing();
