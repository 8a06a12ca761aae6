/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <crayon/crayon.h>

int main(void)
{
    printf("crayon %s\n", cr_version());
    return 0;
}
