# SPDX-License-Identifier: MIT

# CRAYON_KEEP_CORE: configure clears away core dumps with "rm -f core" and takes a failure for a reason to leave
# its own scratch files lying about. Here core/ is a folder of sources: rm leaves that one word out.
AC_DEFUN([CRAYON_KEEP_CORE], [
rm ()
{
    for crayon_arg
    do
        shift
        test "x$crayon_arg" = xcore || set -- "$[@]" "$crayon_arg"
    done
    command rm "$[@]"
}
])

# CRAYON_SANITIZER(SWITCH, SANITIZER, NAME): --enable-SWITCH adds SANITIZER to $crayon_sanitizers.
AC_DEFUN([CRAYON_SANITIZER], [
    AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [build with $3])], [], [enable_$1=no])
    AS_IF([test "x$enable_$1" = xyes], [crayon_sanitizers="$crayon_sanitizers,$2"])
])

# CRAYON_PLUGIN(NAME, WHAT IT DOES[, MISSING]): a switch --disable-NAME, the conditional PLUGIN_NAME (upper case,
# underscores) that plugins/NAME/Makefile.inc asks, and a word in the closing summary. MISSING, when it
# expands to something at run time, says which library is absent: the plugin is left out, or, when it
# was asked for by name, configure stops.
AC_DEFUN([CRAYON_PLUGIN], [
    m4_pushdef([cond], [PLUGIN_]m4_translit([$1], [a-z-], [A-Z_]))
    m4_pushdef([var], [enable_]m4_translit([$1], [-], [_]))
    AC_ARG_ENABLE([$1], [AS_HELP_STRING([--disable-$1], [leave out $2])], [], [var=auto])
    crayon_missing="$3"
    AS_IF([test "x$var" = xyes && test "x$crayon_missing" != x],
          [AC_MSG_ERROR([plugin $1 needs $crayon_missing, which was not found])])
    AS_IF([test "x$var" = xno], [crayon_plugins_off="$crayon_plugins_off $1 (disabled)"],
          [test "x$crayon_missing" != x],
          [var=no; crayon_plugins_off="$crayon_plugins_off $1 (needs $crayon_missing)"],
          [var=yes; crayon_plugins_on="$crayon_plugins_on $1"])
    AM_CONDITIONAL(cond, [test "x$var" = xyes])
    m4_popdef([var])
    m4_popdef([cond])
])

# CRAYON_FONT: find DejaVu Sans, compare it with the version that the drawings of the tests were made with.
AC_DEFUN([CRAYON_FONT], [
    AC_MSG_CHECKING([for DejaVu Sans])
    crayon_font_dir=
    for dir in "$with_font_dir" /usr/share/fonts/truetype/dejavu /usr/share/fonts/dejavu \
               /usr/share/fonts/dejavu-sans-fonts /usr/share/fonts/TTF \
               /usr/local/share/fonts/dejavu /opt/homebrew/share/fonts "$HOME/Library/Fonts"; do
        AS_IF([test -n "$dir" && test -f "$dir/DejaVuSans.ttf" && test -f "$dir/DejaVuSans-Bold.ttf"],
              [crayon_font_dir=$dir; break])
    done
    AC_MSG_RESULT([${crayon_font_dir:-no}])
    AS_IF([test -z "$crayon_font_dir"],
          [AC_MSG_ERROR([DejaVuSans.ttf and DejaVuSans-Bold.ttf were not found (Debian: fonts-dejavu-core); name their folder with --with-font-dir=DIR])])
    crayon_font_note="another version than 2.37: labels will look different"
    AS_CASE([$(sha256sum "$crayon_font_dir/DejaVuSans-Bold.ttf" 2>/dev/null)],
            [0d977336a6d5fba34eab8e3199eb218327161b5143749f802982c2bc34df0c96*],
            [crayon_font_note="version 2.37"])
    AC_SUBST([crayon_font_dir])
])

# CRAYON_WARN_CFLAGS: put the warnings that the compiler knows into WARN_CFLAGS.
AC_DEFUN([CRAYON_WARN_CFLAGS], [
    crayon_compiler=$($CC --version 2>/dev/null | sed -n 1p)
    WARN_CFLAGS=
    crayon_saved_cflags=$CFLAGS
    for flag in -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
                -Wold-style-definition -Wwrite-strings -Wpointer-arith -Wcast-qual -Wundef \
                -Wvla -Wformat=2 -Wimplicit-fallthrough -Wno-missing-field-initializers; do
        CFLAGS="$crayon_saved_cflags -Werror $flag"
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [WARN_CFLAGS="$WARN_CFLAGS $flag"])
    done
    CFLAGS=$crayon_saved_cflags
    AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
    AC_SUBST([WARN_CFLAGS])
])
