# Links inside the documentation lead somewhere.

use lib 't/lib';
use Wscast;
use Wscast::Docs;

my (%anchors, $n);

# A heading's anchor, as forges make it.

sub anchors {
    my ($file) = @_;

    return $anchors{$file} //= { map {
        my $slug = lc s/`//gr;
        $slug =~ s/[^\w\- ]//g;
        $slug =~ s/ /-/g;
        ($slug => 1);
    } Wscast::Docs::prose($file) =~ /^#+ (.*)$/mg };
}

for my $file (Wscast::Docs::files()) {
    my ($dir) = $file =~ m{^(.*/)};
    my @broken;

    for my $link (Wscast::Docs::prose($file) =~ /\]\(([^)\s]+)\)/g) {
        next if $link =~ m{^https://};
        $n++;

        my ($path, $anchor) = split /#/, $link, 2;
        my $target = $path eq '' ? $file : ($dir // '') . $path;

        1 while $target =~ s{[^/]+/\.\./}{};

        if (!-e "$Wscast::ROOT/$target") {
            push @broken, $link;

        } elsif (defined $anchor && !anchors($target)->{$anchor}) {
            push @broken, $link;
        }
    }

    is("@broken", '', "the links of $file lead somewhere");
}

cmp_ok($n, '>', 40, 'there are links');

done_testing();
