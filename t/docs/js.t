# The JavaScript of the documentation is JavaScript.

use lib 't/lib';
use Wscast;
use Wscast::Docs;

my $file = scratch() . '/example.mjs';
my $n    = 0;

for my $block (map { Wscast::Docs::blocks($_) } Wscast::Docs::files()) {
    next if $block->{lang} ne 'js';
    $n++;

    open my $out, '>:encoding(UTF-8)', $file or die "$file: $!\n";
    print {$out} $block->{text};
    close $out or die "$file: $!\n";

    my $told = `node --check $file 2>&1`;
    is($?, 0, "$block->{at} is valid") || diag($told);
}

cmp_ok($n, '>', 5, 'there are examples');

done_testing();
