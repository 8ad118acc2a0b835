
# What follows completes `cargo xtask`, and leaves every other word after cargo to cargo's own completions.

# The environments of the nearest deploy.toml.
_xtask_environments() {
    local folder=$PWD
    while [[ ! -f $folder/deploy.toml && -n $folder ]]; do
        folder=${folder%/*}
    done
    sed -n 's/^ *\[ *environments *\. *"\{0,1\}\([A-Za-z0-9_-]*\)"\{0,1\} *\].*/\1/p' "$folder/deploy.toml" 2>/dev/null
}

_xtask_of_cargo() {
    local at=1 load
    [[ ${COMP_WORDS[1]} == +* ]] && at=2
    if [[ ${COMP_WORDS[at]} == xtask && $COMP_CWORD -gt $at ]]; then
        COMP_WORDS=("${COMP_WORDS[@]:at}")
        COMP_CWORD=$((COMP_CWORD - at))
        compopt -o bashdefault -o default 2>/dev/null
        _xtask xtask "$2" "$3"
        # Options only where one is begun.
        [[ $2 == -* ]] || for at in "${!COMPREPLY[@]}"; do
            [[ ${COMPREPLY[at]} == -* ]] && unset "COMPREPLY[at]"
        done
        return 0
    fi
    if [[ -z ${_xtask_cargo+known} ]]; then
        # bash-completion loads cargo's own where they are first needed, and would not do so any more.
        for load in _comp_load __load_completion; do
            if declare -F "$load" >/dev/null; then
                "$load" cargo >/dev/null 2>&1
                break
            fi
        done
        _xtask_cargo=
        _xtask_before_cargo
    fi
    if [[ -n $_xtask_cargo ]]; then
        "$_xtask_cargo" "$@"
    fi
}

# Puts _xtask_of_cargo in the place of the function that completes cargo, and remembers that one.
_xtask_before_cargo() {
    local now
    now=$(complete -p cargo 2>/dev/null)
    if [[ -z $now ]]; then
        complete -o bashdefault -o default -F _xtask_of_cargo cargo
    elif [[ $now =~ \ -F\ ([^ ]+)\  && ${BASH_REMATCH[1]} != _xtask_of_cargo ]]; then
        _xtask_cargo=${BASH_REMATCH[1]}
        eval "${now/ -F $_xtask_cargo / -F _xtask_of_cargo }"
    fi
}

_xtask_before_cargo
