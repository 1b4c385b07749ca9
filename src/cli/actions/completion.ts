// Completion scripts. What the tree knows, commands and flags, stands in the script, so that it answers at once; names
// of rooms and users, and values of flags, come from the hidden `chatctl __complete`.
import {basename} from 'node:path';
import type {Command} from 'commander';
import type {Cli} from '../context.ts';
import {shells, type Shell} from '../shells.ts';

export async function printCompletion(cli: Cli, given: Shell | undefined): Promise<void> {
  const own = basename(cli.io.env['SHELL'] ?? '');
  const ownFirst = shells.toSorted((one, other) => Number(other === own) - Number(one === own));
  const shell = await cli.ask.choose(
    given,
    '<shell>',
    'Which shell?',
    ownFirst.map(value => ({value})),
  );
  cli.io.stdout.write(scripts[shell](nodesOf(cli.createProgram())));
}

/** A place in the tree: its words, and what may come next. */
interface Node {
  path: string;
  children: {name: string; summary: string}[];
  /** A word of one's own may stand where its children do: the file of `import`. */
  takesWord: boolean;
  flags: {name: string; takesValue: boolean; description: string}[];
}

function nodesOf(command: Command, words: readonly string[] = []): Node[] {
  const node: Node = {
    path: words.join(' '),
    children: command.commands.map(child => ({name: child.name(), summary: child.description()})),
    takesWord: command.registeredArguments.length > 0,
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

const orOwn = (node: Node) => (node.takesWord ? ' or_own=1' : '');

/** `case` lines of bash: which words may follow these. */
function cases(nodes: readonly Node[]): string {
  return nodes
    .filter(node => node.children.length > 0)
    .map(node => `    '${node.path}') words='${names(node)}'${orOwn(node)} ;;`)
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
  local IFS=$' \\t\\n' cur words='' or_own='' line="\${COMP_LINE:0:COMP_POINT}" each
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
    if [[ -z $or_own || \${#COMPREPLY[@]} -gt 0 ]]; then return; fi
  fi
  # Bash cuts words at : and = and leaves their quotes, so that the whole line is asked about, and only what follows the
  # last of these is put in. A word goes back to the last space that is not escaped.
  local typed="\${line##*[[:space:]]}" head cut=''
  while head="\${line%"$typed"}"; [[ $head == *\\\\[[:space:]] ]]; do
    typed="\${head: -1}$typed" head="\${head%?}"
    typed="\${head##*[[:space:]]}$typed"
  done
  [[ $typed == --*=* ]] && typed="\${typed#*=}"
  [[ $cur != [\\"\\']* && $typed == *[:=]* ]] && cut="\${typed%"\${typed##*[:=]}"}"
  while IFS= read -r each; do
    # Within quotes readline puts it in as it is.
    [[ $cur == [\\"\\']* ]] || printf -v each '%q' "$each"
    COMPREPLY+=("\${each#"$cut"}")
  done < <("\${COMP_WORDS[0]}" __complete-line "$line" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 0 ]]; then compopt -o default 2>/dev/null; fi
}
complete -F _chatctl chatctl
`;
}

/** Words with what they mean, as `_describe` of zsh takes them. */
function inZsh(described: readonly (readonly [word: string, meaning: string])[]): string {
  return described.map(each => `'${each.join(':').replaceAll("'", String.raw`'\''`)}'`).join(' ');
}

const flagsInZsh = (node: Node) => inZsh(node.flags.map(({name, description}) => [name, description]));

function zsh(nodes: readonly Node[]): string {
  const [top] = nodes;
  const commands = nodes
    .filter(node => node.children.length > 0)
    .map(
      node =>
        `    '${node.path}') described=(${inZsh(node.children.map(each => [each.name, each.summary]))})${orOwn(node)} ;;`,
    );
  const own = nodes
    .filter(node => node.path !== '' && node.flags.length > 0)
    .map(node => `      '${node.path}'|'${node.path} '*) described=(${flagsInZsh(node)} $described) ;;`);
  return `#compdef chatctl
# Completion of chatctl for zsh. To load it: source <(chatctl completion zsh)
_chatctl() {
  local before="\${(j: :)words[2,CURRENT-1]}" cur="\${words[CURRENT]}" typed="$PREFIX" or_own=''
  local -a described found
  if [[ $cur == --*=* ]]; then
    compset -P 1 '*='
  elif [[ $cur == -* ]]; then
    described=(${top ? flagsInZsh(top) : ''} '--help:show help')
    case "$before" in
${own.toReversed().join('\n')}
    esac
    _describe -o option described
    return
  else
    case "$before" in
${commands.join('\n')}
    esac
    if (( $#described )); then
      _describe command described
      if [[ -z $or_own ]]; then return; fi
    fi
  fi
  found=("\${(@f)$(\${words[1]} __complete "\${(@Q)words[2,CURRENT-1]}" "\${(Q)typed}" 2>/dev/null)}")
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
  set -l found (chatctl __complete-line (commandline -cp) 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\n' $found
  else
    __fish_complete_path (commandline -ct | string replace -r -- '^--[^=]+=' '')
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
