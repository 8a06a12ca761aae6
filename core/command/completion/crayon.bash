# SPDX-License-Identifier: MIT
# bash completion for crayon(1), printed by 'crayon completion bash'. What can follow is for the program to
# say, which knows its commands, options, pipelines and plugins.

_crayon() {
    local line=${COMP_LINE:0:COMP_POINT} words current program word rest before
    read -a words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=('')
    current=${words[${#words[@]} - 1]}
    program=${words[0]/#\~\//$HOME/}
    type -P "$program" >/dev/null || program=crayon
    COMPREPLY=()
    while IFS= read -r word; do
        case $word in
        $'\tfiles' | $'\tdirectories')
            rest=${current##*=}
            rest=${rest#@}
            before=${current%"$rest"}
            while IFS= read -r word; do
                if [[ -d $word ]]; then word+=/; fi
                COMPREPLY+=("$before$(printf %q "$word")")
            done < <(compgen "-${word:1:1}" -- "$rest")
            ;;
        *) COMPREPLY+=("$word") ;;
        esac
    done < <("$program" completion bash -- "${words[@]:1}" 2>/dev/null </dev/null)
    # Readline replaces what follows the last character that breaks words.
    [[ $COMP_WORDBREAKS == *:* ]] || current=${current//:/}
    [[ $COMP_WORDBREAKS == *=* ]] || current=${current//=/}
    before=${current%"${current##*[=:]}"}
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=.@/] ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -F _crayon crayon
