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
    AS_IF([test "x$enable_$1" = xyes], [crayon_sanitizers="${crayon_sanitizers:+$crayon_sanitizers,}$2"])
])

# CRAYON_SANITIZE: compile and link with $crayon_sanitizers; stop if the compiler cannot.
AC_DEFUN([CRAYON_SANITIZE], [
    AS_IF([test "x$crayon_sanitizers" != x], [
        CFLAGS="$CFLAGS -fsanitize=$crayon_sanitizers -fno-omit-frame-pointer -fno-sanitize-recover=all"
        LDFLAGS="$LDFLAGS -fsanitize=$crayon_sanitizers"
        AC_MSG_CHECKING([whether $CC links with -fsanitize=$crayon_sanitizers])
        AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
            [AC_MSG_RESULT([no])
             AC_MSG_ERROR([$CC does not link with -fsanitize=$crayon_sanitizers: a run-time library is missing, or these do not go together])])
    ])
    AM_CONDITIONAL([SANITIZED], [test "x$crayon_sanitizers" != x])
    AC_SUBST([crayon_sanitizers])
])

# CRAYON_LINKER: what the linker knows of two things that are wished for. NO_UNDEFINED: every symbol is found when
# a library is linked (sanitized builds leave theirs to the program). HAVE_VERSION_SCRIPT: exports
# are a list of names; without it the visibility attributes alone decide.
AC_DEFUN([CRAYON_LINKER], [
    crayon_saved_ldflags=$LDFLAGS
    NO_UNDEFINED=
    AS_IF([test "x$crayon_sanitizers" = x], [
        AC_MSG_CHECKING([whether the linker knows --no-undefined])
        LDFLAGS="$crayon_saved_ldflags -Wl,--no-undefined"
        AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes]); NO_UNDEFINED=-Wl,--no-undefined],
                       [AC_MSG_RESULT([no])])
    ])
    AC_MSG_CHECKING([whether the linker knows --version-script])
    echo "A { global: main; local: *; };" > conftest.map
    LDFLAGS="$crayon_saved_ldflags -Wl,--version-script=conftest.map"
    crayon_version_script=no
    AC_LINK_IFELSE([AC_LANG_PROGRAM()], [crayon_version_script=yes])
    AC_MSG_RESULT([$crayon_version_script])
    rm -f conftest.map
    LDFLAGS=$crayon_saved_ldflags
    AM_CONDITIONAL([HAVE_VERSION_SCRIPT], [test $crayon_version_script = yes])
    AC_SUBST([NO_UNDEFINED])
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

# CRAYON_FONT: find DejaVu Sans, and compare it with version 2.37, which the drawings that the tests know were made with.
# Every build of the font differs in its time stamps: the sums are those of Debian 12 and 13; of other
# builds the version that the file states has to be enough.
AC_DEFUN([CRAYON_FONT], [
    AC_ARG_WITH([font-dir], [AS_HELP_STRING([--with-font-dir=DIR],
                [folder that holds DejaVuSans.ttf and DejaVuSans-Bold.ttf, version 2.37])],
                [], [with_font_dir=])
    AC_CHECK_PROGS([SHA256SUM], [sha256sum "shasum -a 256" sha256])
    AC_MSG_CHECKING([for DejaVu Sans])
    crayon_font_dir=
    for dir in ${with_font_dir:-/usr/share/fonts/truetype/dejavu /usr/share/fonts/dejavu \
               /usr/share/fonts/dejavu-sans-fonts /usr/share/fonts/TTF \
               /usr/local/share/fonts/dejavu /opt/homebrew/share/fonts "$HOME/Library/Fonts"}; do
        AS_IF([test -f "$dir/DejaVuSans.ttf" && test -f "$dir/DejaVuSans-Bold.ttf"],
              [crayon_font_dir=$dir; break])
    done
    AC_MSG_RESULT([${crayon_font_dir:-no}])
    AS_IF([test -z "$crayon_font_dir"],
          [AC_MSG_ERROR([DejaVuSans.ttf and DejaVuSans-Bold.ttf were not found (Debian: fonts-dejavu-core); name their folder with --with-font-dir=DIR])])
    crayon_font_note="version 2.37"
    CRAYON_FONT_FILE([DejaVuSans.ttf],
        [abdc775b21b1bc470d50c97e790d276f2054b7504e56e5bd3e64f48d68582322],
        [57f73e11f51999432bf7ab22ce55b6f945d5eca1bf824404cfa9ec2e3718c84e])
    CRAYON_FONT_FILE([DejaVuSans-Bold.ttf],
        [0d977336a6d5fba34eab8e3199eb218327161b5143749f802982c2bc34df0c96],
        [a4c5bc453ca281d90ea079e596da7ae0dfeb5777497c29ec254e76d97ff6f890])
    AC_SUBST([crayon_font_dir])
])

# CRAYON_FONT_FILE(FILE, SUM, SUM): change $crayon_font_note when the file has neither sum.
AC_DEFUN([CRAYON_FONT_FILE], [
    AS_CASE([$($SHA256SUM < "$crayon_font_dir/$1" 2>/dev/null)], [*$2*|*$3*], [],
        [AS_IF([LC_ALL=C grep -a 'Version 2\.37' "$crayon_font_dir/$1" >/dev/null],
               [crayon_font_note="version 2.37 by its own word (an unknown build)"],
               [crayon_font_note="not version 2.37: labels will look different"])])
])

# CRAYON_WARN_CFLAGS: put the warnings that the compiler knows into WARN_CFLAGS.
AC_DEFUN([CRAYON_WARN_CFLAGS], [
    crayon_compiler=$($CC --version 2>/dev/null | sed 1q)
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

# CRAYON_VULKAN: the headers of Vulkan, and the compiler that makes SPIR-V of shaders (GLSLC). $crayon_vulkan_missing
# says what device-vulkan lacks, $crayon_vulkan_note what was found.
AC_DEFUN([CRAYON_VULKAN], [
    AC_ARG_VAR([GLSLC], [compiler of GLSL shaders, glslc of shaderc])
    AC_ARG_WITH([glslc], [AS_HELP_STRING([--with-glslc=PROGRAM], [the compiler of GLSL shaders])],
                [], [with_glslc=auto])
    AS_CASE([$with_glslc], [no], [GLSLC=], [auto|yes], [AC_CHECK_PROGS([GLSLC], [glslc])],
            [GLSLC=$with_glslc])
    crayon_vulkan_missing=
    crayon_vulkan_note=
    PKG_CHECK_MODULES([VULKAN], [vulkan >= 1.2.162], [], [
        AC_CHECK_HEADER([vulkan/vulkan.h], [], [crayon_vulkan_missing="vulkan/vulkan.h 1.2.162"])])
    AS_IF([test -z "$GLSLC"],
          [crayon_vulkan_missing="${crayon_vulkan_missing:+$crayon_vulkan_missing and }glslc"],
          [CRAYON_GLSLC([], [], [crayon_vulkan_missing="a glslc that knows vulkan1.2 ($GLSLC does not)"])])
    AS_IF([test "x$with_glslc" != xauto && test "x$with_glslc" != xno && test "x$crayon_vulkan_missing" != x],
          [AC_MSG_ERROR([--with-glslc was given, but this was not found: $crayon_vulkan_missing])])
    AS_IF([test "x$crayon_vulkan_missing" != x], [crayon_vulkan_note="no: needs $crayon_vulkan_missing"], [
        crayon_vulkan_note="$GLSLC"
        CRAYON_GLSLC_EXTENSION([GL_EXT_shader_explicit_arithmetic_types_float16], [F16])
        CRAYON_GLSLC_EXTENSION([GL_EXT_integer_dot_product], [DOT])
        CRAYON_GLSLC_EXTENSION([GL_KHR_cooperative_matrix], [COOPMAT_KHR])
        CRAYON_GLSLC_EXTENSION([GL_NV_cooperative_matrix], [COOPMAT_NV])])
])

# CRAYON_GLSLC(LINES, IF-YES, IF-NO): does glslc compile a shader that begins with these lines?
AC_DEFUN([CRAYON_GLSLC], [
    AS_ECHO(["#version 450
$1
void main() {}"]) > conftest.comp
    AS_IF([$GLSLC --target-env=vulkan1.2 -O -mfmt=num -o conftest.num conftest.comp >&AS_MESSAGE_LOG_FD 2>&1],
          [m4_default([$2], [:])], [m4_default([$3], [:])])
    rm -f conftest.comp conftest.num
])

# CRAYON_GLSLC_EXTENSION(EXTENSION, NAME): define HAVE_GLSLC_NAME where glslc knows it. No shader needs one so far.
AC_DEFUN([CRAYON_GLSLC_EXTENSION], [
    AC_MSG_CHECKING([whether $GLSLC knows $1])
    CRAYON_GLSLC([[#]extension $1 : require],
        [AC_MSG_RESULT([yes])
         crayon_vulkan_note="$crayon_vulkan_note, $1"
         AC_DEFINE([HAVE_GLSLC_$2], [1], [Does glslc know $1?])],
        [AC_MSG_RESULT([no])])
])

# CRAYON_CXX: does the C++ compiler make C++17? $have_cxx; warnings that it knows in CXX_WARN_FLAGS.
AC_DEFUN([CRAYON_CXX], [
    AC_LANG_PUSH([C++])
    crayon_saved_cxxflags=$CXXFLAGS
    CXXFLAGS="$crayon_saved_cxxflags -std=c++17"
    AC_MSG_CHECKING([whether $CXX makes C++17])
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[@%:@include <string_view>]], [[return std::string_view("").size();]])],
                      [have_cxx=yes], [have_cxx=no])
    AC_MSG_RESULT([$have_cxx])
    CXXFLAGS=$crayon_saved_cxxflags
    # Programs are linked as C: what the sanitizer needs a C++ run-time library for is left out.
    AS_IF([test "x$crayon_sanitizers" != x], [
        crayon_saved_cxxflags="$CXXFLAGS -fsanitize=$crayon_sanitizers -fno-omit-frame-pointer -fno-sanitize-recover=all"
        CXXFLAGS=$crayon_saved_cxxflags
        for flag in -fno-sanitize=vptr -fno-sanitize=function; do
            CXXFLAGS="$crayon_saved_cxxflags $flag"
            AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [crayon_saved_cxxflags=$CXXFLAGS])
        done
        CXXFLAGS=$crayon_saved_cxxflags
    ])
    CXX_WARN_FLAGS="-Wall -Wextra"
    AS_IF([test "x$enable_werror" = xyes], [CXX_WARN_FLAGS="$CXX_WARN_FLAGS -Werror"])
    AC_SUBST([CXX_WARN_FLAGS])
    AC_LANG_POP([C++])
])
