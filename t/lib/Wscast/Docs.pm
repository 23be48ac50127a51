package Wscast::Docs;

# Reads README.md and docs/*.md, and the sources that they describe.
#
#   Wscast::Docs::files()               README.md, docs/api.md, ...
#   Wscast::Docs::text('docs/api.md')   any file of the repository
#   Wscast::Docs::blocks($file)         fenced blocks: { lang, info, text, at }
#   Wscast::Docs::rows($file)           rows of tables: lists of cells
#
# What follows the language on the opening line of a block is its info: in
# "```nginx server" it says into which context a fragment belongs.  A block of
# nginx without it is a whole configuration.

use strict;
use warnings;

my $ROOT = $Wscast::ROOT;

sub files {
    return map { s{^\Q$ROOT\E/}{}r } "$ROOT/README.md", glob "$ROOT/docs/*.md";
}

sub text {
    my ($file) = @_;

    open my $in, '<:encoding(UTF-8)', "$ROOT/$file" or die "$file: $!\n";
    local $/;

    return scalar readline $in;
}

# All files that the pattern finds, one behind the other.

sub sources {
    my ($pattern) = @_;
    my @files = glob "$ROOT/$pattern" or die "no $pattern\n";

    return join "\n", map { text(s{^\Q$ROOT\E/}{}r) } @files;
}

sub blocks {
    my ($file) = @_;
    my (@blocks, $open);
    my $n = 0;

    for my $line (split /\n/, text($file)) {
        $n++;

        if (!$open && $line =~ /^```(\S*) *(.*)$/) {
            $open = { lang => $1, info => $2, text => '', at => "$file:$n" };

        } elsif ($open && $line eq '```') {
            push @blocks, $open;
            undef $open;

        } elsif ($open) {
            $open->{text} .= "$line\n";
        }
    }

    die "$open->{at}: this block is not closed\n" if $open;

    return @blocks;
}

# Text without its fenced blocks.

sub prose {
    my ($file) = @_;
    return text($file) =~ s/^```.*?^```$//gmsr;
}

sub rows {
    my ($file) = @_;

    return map {
        my @cells = split /\|/, $_, -1;
        shift @cells;
        pop @cells;
        [map { s/^\s+|\s+$//gr } @cells];
    } grep { /^\|.*\|$/ && !/^\|[-|: ]*-[-|: ]*\|$/ } split /\n/, prose($file);
}

# Sections by their heading: { name => text }, of "### name".

sub sections {
    my ($file) = @_;
    my ($heading, @rest) = split /^### (.*)\n/m, text($file);
    my %sections;

    while (@rest) {
        my ($name, $section) = splice @rest, 0, 2;
        die "$file: two sections \"$name\"\n" if exists $sections{$name};
        $sections{$name} = $section =~ s/^## .*//msr;
    }

    return \%sections;
}

# A fragment put into the context that it belongs to: (main, http).

my $HUB = "wscast_hub chat { }\n";

sub wrap {
    my ($context, $text) = @_;
    my $main = '';

    $text =~ s/listen\s+80\b/listen 127.0.0.1:%%PORT%%/g;
    $text =~ s{/etc/nginx/}{%%PREFIX%%/conf/}g;

    if ($context eq '') {
        $text =~ s/^\s*load_module[^;]*;//m;
        $text =~ s/\A\s*http\s*\{\n(.*)\}\s*\z/$1/s
            or return ($text, undef);

    } elsif ($context eq 'main') {
        ($main, $text) = ($text, '');

    } elsif ($context eq 'hub') {
        $text = "wscast_hub chat {\n$text}\n";

    } elsif ($context eq 'channel') {
        $text = "wscast_hub chat { channel * {\n$text} }\n";

    } elsif ($context eq 'server') {
        $text = "${HUB}server { listen 127.0.0.1:%%PORT%%;\n$text}\n";

    } elsif ($context eq 'location') {
        $text = "${HUB}server { listen 127.0.0.1:%%PORT%%;\n"
            . "location / {\n$text}\n}\n";

    } elsif ($context ne 'http') {
        die "no such context: $context\n";
    }

    return ($main, $text);
}

1;
