// Completion scripts. What the tree knows, commands and flags, stands in the script, so that it answers at once; names
// of rooms and users, and values of flags, come from the hidden `chatctl __complete`.
import type {Command} from 'commander';
import type {Cli} from '../context.ts';
import type {Shell} from '../shells.ts';

export function printCompletion(cli: Cli, shell: Shell): Promise<void> {
  cli.io.stdout.write(scripts[shell](nodesOf(cli.createProgram())));
  return Promise.resolve();
}

/** A place in the tree: its words, and what may come next. */
interface Node {
  path: string;
  children: {name: string; summary: string}[];
  flags: {name: string; takesValue: boolean; description: string}[];
}

function nodesOf(command: Command, words: readonly string[] = []): Node[] {
  const node: Node = {
    path: words.join(' '),
    children: command.commands.map(child => ({name: child.name(), summary: child.description()})),
    flags: command.options.map(option => ({
      name: option.long ?? option.short ?? '',
      takesValue: option.required || option.optional,
      description: option.description,
    })),
  };
  if (words.length === 0) node.children.push({name: 'help', summary: 'help on a command or a topic'});
  return [node, ...command.commands.flatMap(child => nodesOf(child, [...words, child.name()]))];
}

const scripts: Record<Shell, (nodes: readonly Node[]) => string> = {bash, zsh, fish};

const names = (node: Node) => node.children.map(child => child.name).join(' ');
const flags = (node: Node) => node.flags.map(flag => flag.name).join(' ');

/** `case` lines of bash and zsh: which words may follow these. */
function cases(nodes: readonly Node[]): string {
  return nodes
    .filter(node => node.children.length > 0)
    .map(node => `    '${node.path}') words='${names(node)}' ;;`)
    .join('\n');
}

function flagCases(nodes: readonly Node[]): string {
  return nodes
    .filter(node => node.path !== '' && node.flags.length > 0)
    .map(node => `    '${node.path}'|'${node.path} '*) words="${flags(node)} $words" ;;`)
    .toReversed()
    .join('\n');
}

function bash(nodes: readonly Node[]): string {
  const [top] = nodes;
  return `# Completion of chatctl for bash. To load it: source <(chatctl completion bash)
_chatctl() {
  local IFS=$' \\t\\n' cur words='' line="\${COMP_LINE:0:COMP_POINT}" each
  local before="\${COMP_WORDS[*]:1:COMP_CWORD-1}"
  cur="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  case "$before" in
${cases(nodes)}
  esac
  if [[ $cur == -* ]]; then
    words='${top ? flags(top) : ''} --help'
    case "$before" in
${flagCases(nodes)}
    esac
  fi
  if [[ -n $words ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    return
  fi
  # A name may hold spaces, and bash cuts words at colons, so that only what follows the last one is put in.
  local typed="\${line##*[[:space:]]}" cut=''
  [[ $typed == *:* ]] && cut="\${typed%"\${typed##*:}"}"
  while IFS= read -r each; do
    printf -v each '%q' "$each"
    COMPREPLY+=("\${each#"$cut"}")
  done < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD-1}" "\${typed}" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 0 ]]; then compopt -o default 2>/dev/null; fi
}
complete -F _chatctl chatctl
`;
}

function zsh(nodes: readonly Node[]): string {
  const [top] = nodes;
  return `#compdef chatctl
# Completion of chatctl for zsh. To load it: source <(chatctl completion zsh)
_chatctl() {
  local words_before="\${(j: :)words[2,CURRENT-1]}" words_found='' cur="\${words[CURRENT]}"
  local -a found
  case "$words_before" in
${cases(nodes).replaceAll(' words=', ' words_found=')}
  esac
  if [[ $cur == -* ]]; then
    words_found='${top ? flags(top) : ''} --help'
    case "$words_before" in
${flagCases(nodes).replaceAll(' words=', ' words_found=').replaceAll('$words"', '$words_found"')}
    esac
  fi
  if [[ -n $words_found ]]; then
    found=(\${=words_found})
  else
    found=("\${(@f)$(\${words[1]} __complete "\${(@Q)words[2,CURRENT-1]}" "\${(Q)cur}" 2>/dev/null)}")
  fi
  # Names are found whatever their case.
  if [[ -n "\${found[1]}" ]]; then compadd -M 'm:{[:lower:][:upper:]}={[:upper:][:lower:]}' -- "\${found[@]}"; else _files; fi
}
# From a folder of fpath this file is the function itself; read by source it tells zsh of it.
if [[ "\${funcstack[1]}" == _chatctl ]]; then _chatctl "$@"; else compdef _chatctl chatctl; fi
`;
}

const inFish = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`;

function fish(nodes: readonly Node[]): string {
  const lines = nodes.flatMap(node => {
    const when = fishCondition(node);
    const children = node.children.map(
      ({name, summary}) =>
        `complete -c chatctl -f -n ${inFish(`${when}; and not __fish_seen_subcommand_from ${names(node)}`)} -a ${name} -d ${inFish(summary)}`,
    );
    const own = node.flags.map(
      ({name, takesValue, description}) =>
        `complete -c chatctl -n ${inFish(when)} -l ${name.replace(/^--/, '')}${takesValue ? " -x -a '(__chatctl_names)'" : ''} -d ${inFish(description)}`,
    );
    return [...children, ...own];
  });
  return `# Completion of chatctl for fish. To load it: chatctl completion fish | source
function __chatctl_names
  set -l words (commandline -opc)
  # The value of --flag=value is a word of its own there.
  set -l begun (commandline -ct | string replace -r -- '^(--[^=]+)=' '$1\n' | string split '\n')
  set -l found (chatctl __complete $words[2..-1] $begun 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\n' $found
  else
    __fish_complete_path $begun[-1]
  end
end
complete -c chatctl -f -a '(__chatctl_names)'
${lines.join('\n')}
`;
}

/** The words of the place stand on the line. */
function fishCondition({path}: Node): string {
  if (path === '') return 'true';
  return path
    .split(' ')
    .map(word => `__fish_seen_subcommand_from ${word}`)
    .join('; and ');
}
