# docs/directives.md and the table of directives say the same.

use lib 't/lib';
use Wscast;
use Wscast::Docs;

my $FILE = 'docs/directives.md';
my %CONTEXT = (
    'NGX_HTTP_MAIN_CONF'        => ['http'],
    'NGX_HTTP_LOC_CONF'         => ['location'],
    'NGX_HTTP_WSCAST_ANYWHERE'  => ['http', 'server', 'location'],
    'NGX_HTTP_WSCAST_HUB_CONF'  => ['wscast_hub'],
    'NGX_HTTP_WSCAST_RULE_CONF' => ['channel'],
);

my ($table) = Wscast::Docs::text('src/http/module.c')
    =~ /^static ngx_command_t.*?\{(.*?)ngx_null_command/ms;
my %known = $table =~ /ngx_string\("(\w+)"\),\s*(\w+)/g;
my $documented = Wscast::Docs::sections($FILE);

cmp_ok(scalar keys %known, '>', 20, 'the table of directives is found');
is(join(' ', sort keys %$documented), join(' ', sort keys %known),
    'every directive has a section, and every section a directive');

my ($index) = Wscast::Docs::text($FILE) =~ /\A(.*?)^## /ms;

for my $name (sort keys %known) {
    my $section = $documented->{$name} // '';
    my ($syntax)  = $section =~ /^\*\*Syntax:\*\* `(.*)`<br>$/m;
    my ($default) = $section =~ /^\*\*Default:\*\* (.*)<br>$/m;
    my ($context) = $section =~ /^\*\*Context:\*\* (.*)$/m;

    like($syntax // '', qr/^\Q$name\E[ ;]/, "$name: its syntax is told");
    is_deeply([($context // '') =~ /`(\w+)`/g], $CONTEXT{ $known{$name} },
        '... its context is right');
    like($index, qr/\[\Q$name\E\]\(#\Q$name\E\)/, '... it is in the index');
    ok((grep { $_->{lang} eq 'nginx' && $_->{text} =~ /^\s*\Q$name\E\b/m }
        Wscast::Docs::blocks($FILE)), '... it has an example');

    if (!defined $default || $default !~ /^`(.*;)`$/) {
        like($default // '', qr/^(?:none|the same host)/,
            '... its default is told');
        next;
    }

    my $text = $1;

    for my $where ($context =~ /`(\w+)`/g) {
        my ($inner, $rest) = ($where eq 'wscast_hub' ? 'hub' : $where, $text);
        $rest .= ' wscast chat;' if $where eq 'location';
        my ($main, $http) = Wscast::Docs::wrap($inner, $rest);
        good_config("... its default is valid in $where", $http);
    }
}

done_testing();
