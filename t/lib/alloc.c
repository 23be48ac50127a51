/*
 * alloc.c: stands in for nginx's plain allocators in the sanitized module.
 *
 * A worker of nginx leaves a few blocks of ngx_alloc() behind at exit, and
 * lsan.supp names that function.  So that it hides nothing of ours, the linker
 * (--wrap) lets our own calls end here.
 */

#include <stdlib.h>


void *__wrap_ngx_alloc(size_t size, void *log);
void *__wrap_ngx_calloc(size_t size, void *log);


void *
__wrap_ngx_alloc(size_t size, void *log)
{
    return malloc(size);
}


void *
__wrap_ngx_calloc(size_t size, void *log)
{
    return calloc(1, size);
}
