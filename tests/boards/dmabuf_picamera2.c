/*
 * What libcamera's virtual camera needs on a machine without a dma-buf heap; it is preloaded.
 *
 * The heap is made of ordinary memory, where /dev/dma_heap/linux,cma is an empty file: allocating gives an
 * anonymous file; naming and synchronizing it do nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int allocate(struct dma_heap_allocation_data *wanted)
{
    int fd = memfd_create("dma-buf", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)wanted->len) < 0) {
        close(fd);
        return -1;
    }
    wanted->fd = (unsigned int)fd;
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    static int (*real)(int, unsigned long, void *);
    va_list list;
    void *argument;

    va_start(list, request);
    argument = va_arg(list, void *);
    va_end(list);

    if (request == DMA_HEAP_IOCTL_ALLOC)
        return allocate(argument);
    if (request == DMA_BUF_SET_NAME_A || request == DMA_BUF_SET_NAME_B || request == DMA_BUF_IOCTL_SYNC)
        return 0;
    if (!real)
        real = (int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
    return real(fd, request, argument);
}

/*
 * C++'s operator new, with memory that begins as zeros. libcamera 0.4.0's virtual camera never sets the status
 * of a frame; zero means success, anything else makes picamera2 throw the frame away.
 */
void *_Znwm(size_t size)
{
    void *memory = calloc(1, size);

    if (!memory)
        abort();
    return memory;
}
