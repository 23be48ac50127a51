#include "process.h"


uint64_t
ngx_wscast_process_name(ngx_pid_t pid)
{
    u_char    *p, *last;
    size_t     i;
    ssize_t    n;
    uint64_t   start;
    ngx_fd_t   fd;
    u_char     buf[1024], name[sizeof("/proc//stat") + NGX_INT64_LEN];

    start = 0;

    (void) ngx_sprintf(name, "/proc/%P/stat%Z", pid);

    fd = open((char *) name, O_RDONLY|O_CLOEXEC);

    if (fd != NGX_INVALID_FILE) {
        n = read(fd, buf, sizeof(buf) - 1);
        (void) close(fd);

        if (n > 0) {
            buf[n] = '\0';
            last = buf + n;

            /* the name, field 2, is in parentheses and may hold anything */

            for (p = last; p > buf && *p != ')'; p--) { /* void */ }

            /* field 22: start time, in clock ticks since boot */

            for (i = 2; i < 22 && p < last; p++) {
                i += (*p == ' ');
            }

            start = strtoull((char *) p, NULL, 10);
        }
    }

    return (start << 32) | (uint32_t) pid;
}


ngx_uint_t
ngx_wscast_process_pid(uint64_t name)
{
    return (uint32_t) name;
}


ngx_uint_t
ngx_wscast_process_alive(uint64_t name)
{
    ngx_pid_t  pid;
    uint64_t   now;

    pid = (ngx_pid_t) (uint32_t) name;

    if (pid <= 0 || (kill(pid, 0) == -1 && ngx_errno == NGX_ESRCH)) {
        return 0;
    }

    now = ngx_wscast_process_name(pid);

    return (name >> 32) == 0 || (now >> 32) == 0 || now == name;
}
