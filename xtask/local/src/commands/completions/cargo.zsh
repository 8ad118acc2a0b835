
# What follows completes `cargo xtask`, and leaves every other word after cargo to cargo's own completions.

# The environments of the nearest deploy.toml.
_xtask_environments() {
    local folder=$PWD
    local -a environments
    while [[ ! -f $folder/deploy.toml && -n $folder ]]; do
        folder=${folder%/*}
    done
    environments=(${(f)"$(sed -n 's/^ *\[ *environments *\. *"\{0,1\}\([A-Za-z0-9_-]*\)"\{0,1\} *\].*/\1/p' $folder/deploy.toml 2>/dev/null)"})
    compadd -a environments
}

_xtask_of_cargo() {
    local at=2
    [[ $words[2] == +* ]] && at=3
    if [[ $words[at] == xtask ]] && (( CURRENT > at )); then
        shift $(( at - 1 )) words
        (( CURRENT -= at - 1 ))
        _xtask
    elif [[ -n $_xtask_cargo ]]; then
        $_xtask_cargo "$@"
    else
        _default
    fi
}

if [[ ${_comps[cargo]} != _xtask_of_cargo ]]; then
    typeset -g _xtask_cargo=${_comps[cargo]}
    compdef _xtask_of_cargo cargo
fi
