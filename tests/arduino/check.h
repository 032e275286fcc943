/* check.h - tests in C++ in a few lines: TEST(name) { CHECK(...); }, and a main(). */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

struct Test {
    Test(const char *name, void (*run)());
    const char *name;
    void (*run)();
    Test *next;
};

static Test *tests_first = NULL, **tests_last = &tests_first;

inline Test::Test(const char *name, void (*run)()) : name(name), run(run), next(NULL)
{
    *tests_last = this;
    tests_last = &next;
}

#define TEST(name)                                                                                           \
    static void name();                                                                                      \
    static Test test_##name(#name, name);                                                                    \
    static void name()

#define CHECK(what)                                                                                          \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what);                             \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

int main()
{
    for (Test *test = tests_first; test; test = test->next) {
        test->run();
        printf("ok  %s\n", test->name);
    }
    return 0;
}

#endif
