# shellcheck shell=bash
# Completion of clipd's commands and options for bash. It asks the program itself, so that it
# knows those of the one that is there.
_clipd() {
    local program=$1 word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} help known
    if ((COMP_CWORD == 1)); then
        known=$("$program" help 2>/dev/null | sed -nE 's/^  ([a-z]+)  .*/\1/p')
    else
        [[ $command == +([a-z]) ]] || return
        help=$("$program" help "$command" 2>/dev/null)
        # The second word of "embed image", "bench search" and the like.
        known=$(sed -nE "s/^(usage:|      ) clipd $command ([a-z]+) .*/\2/p" <<<"$help")
        if [[ $word == -* ]]; then
            if ((COMP_CWORD > 2)) && grep -qxF -e "${COMP_WORDS[2]}" <<<"$known"; then
                help=$("$program" "$command" "${COMP_WORDS[2]}" --help 2>/dev/null)
            fi
            known=$(sed -nE 's/^  (-.*)/\1/p' <<<"$help" | sed 's/  .*//' | grep -oE -e '--?[a-z][a-z-]*')
        elif ((COMP_CWORD > 2)); then
            known=
        fi
    fi
    mapfile -t COMPREPLY < <(compgen -W "$known" -- "$word")
}
complete -o default -F _clipd clipd
