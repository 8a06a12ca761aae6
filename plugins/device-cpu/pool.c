/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdatomic.h>

#include "cpu.h"

struct worker {
    struct cpu_pool *pool;
    pthread_t thread;
    int index;
};

struct cpu_pool {
    int threads; /* the caller is the last of them */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    uint64_t generation; /* counts jobs; a worker that sees a new one joins it */
    int active;          /* workers inside the current job */
    bool quit;
    cpu_task task;
    void *argument;
    int64_t tasks;
    _Atomic int64_t next;
    struct worker workers[];
};

static void take_tasks(struct cpu_pool *pool, int worker)
{
    for (;;) {
        int64_t index = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (index >= pool->tasks)
            return;
        pool->task(pool->argument, index, worker);
    }
}

static void *work(void *argument)
{
    struct worker *self = argument;
    struct cpu_pool *pool = self->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->generation == seen && !pool->quit)
            pthread_cond_wait(&pool->work, &pool->lock);
        if (pool->quit)
            break;
        seen = pool->generation;
        /* The caller may have finished everything before this worker woke up. */
        if (atomic_load_explicit(&pool->next, memory_order_relaxed) >= pool->tasks)
            continue;
        pool->active++;
        pthread_mutex_unlock(&pool->lock);
        take_tasks(pool, self->index);
        pthread_mutex_lock(&pool->lock);
        if (--pool->active == 0)
            pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int cpu_pool_create(struct cpu_pool **out, int threads, struct cr_error *err)
{
    *out = NULL;
    size_t bytes = sizeof(struct cpu_pool) + (size_t)(threads - 1) * sizeof(struct worker);
    struct cpu_pool *pool = cr_calloc(1, bytes);
    if (pool == NULL)
        return cr_fail_memory(err, bytes);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->threads = 1;
    for (int i = 0; i < threads - 1; i++) {
        struct worker *worker = &pool->workers[i];
        *worker = (struct worker){.pool = pool, .index = i};
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            cpu_pool_destroy(&pool);
            return cr_fail(err, CR_ERR_DEVICE, "thread %d of %d could not be started", i + 1,
                           threads);
        }
        pool->threads++;
    }
    *out = pool;
    return 0;
}

void cpu_pool_destroy(struct cpu_pool **pool_)
{
    struct cpu_pool *pool = *pool_;
    *pool_ = NULL;
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->threads - 1; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    cr_free(pool);
}

int cpu_pool_threads(const struct cpu_pool *pool)
{
    return pool->threads;
}

void cpu_parallel(struct cpu_pool *pool, int64_t tasks, cpu_task task, void *argument)
{
    if (pool->threads == 1 || tasks <= 1) {
        for (int64_t i = 0; i < tasks; i++)
            task(argument, i, pool->threads - 1);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->task = task;
    pool->argument = argument;
    pool->tasks = tasks;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    pool->generation++;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    take_tasks(pool, pool->threads - 1);
    pthread_mutex_lock(&pool->lock);
    while (pool->active > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
