
# What follows completes `cargo xtask`, and leaves every other word after cargo to cargo's own completions.

# The environments of the nearest deploy.toml.
function __xtask_environments
    set -l folder $PWD
    while not test -f $folder/deploy.toml; and test -n "$folder"
        set folder (string replace --regex '/[^/]*$' '' -- $folder)
    end
    sed -n 's/^ *\[ *environments *\. *"\{0,1\}\([A-Za-z0-9_-]*\)"\{0,1\} *\].*/\1/p' $folder/deploy.toml 2>/dev/null
end

# The words from `xtask` on; none where the command line is not one of `cargo xtask`.
function __xtask_of_cargo
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -e words[1]
    string match --quiet -- '+*' $words[1]; and set -e words[1]
    test "$words[1]" = xtask; and printf '%s\n' $words
end

function __xtask_complete_of_cargo
    set -l words (__xtask_of_cargo) (commandline --current-token --cut-at-cursor)
    complete --do-complete (string join -- ' ' (string escape -- $words[1..-2]) $words[-1])
end

complete --command cargo --condition '__xtask_of_cargo >/dev/null' --no-files --arguments '(__xtask_complete_of_cargo)'
