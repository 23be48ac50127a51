# Twenty seconds of what `make chaos MODE=embedded` does for as long as it is
# told.  With this seed everything happens that can happen to one host.

use lib 't/lib', 't/chaos';
use Wscast;
use Chaos;

Chaos::run(mode => 'embedded', seconds => 20, seed => 18,
    pause => asan() ? 1 : 0.5);

done_testing();
