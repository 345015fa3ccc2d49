// Finds a list's names in longer names, part by part between the dots, in one pass over a name whatever the list's length (Aho and
// Corasick, "Efficient string matching", 1975).

interface Node {
  next: Map<string, Node>;
  /** Failure link: the node of the longest proper suffix of this path; null at the root. */
  fail: Node | null;
  /** The name that ends here. */
  entry: string | null;
  /** Output link: the node of a shorter name that is a suffix of this path. */
  shorter: Node | null;
}

const newNode = (): Node => ({ next: new Map(), fail: null, entry: null, shorter: null });

export class NameMatcher {
  private readonly root = newNode();

  constructor(entries: Iterable<string>) {
    for (const entry of entries) this.add(entry);
    this.link();
  }

  /** The list's names that equal this name or follow one of its dots to the end, longest first. */
  endsOf(name: string): string[] {
    let at = this.root;
    for (const part of name.split('.')) at = this.step(at, part);
    const found: string[] = [];
    for (let node: Node | null = at; node; node = node.shorter) if (node.entry !== null) found.push(node.entry);
    return found;
  }

  /** True if a name of the list is a run of this name's parts. */
  occursIn(name: string): boolean {
    let at = this.root;
    for (const part of name.split('.')) {
      at = this.step(at, part);
      if (at.entry !== null || at.shorter) return true;
    }
    return false;
  }

  private add(entry: string): void {
    let at = this.root;
    for (const part of entry.split('.')) {
      const next = at.next.get(part) ?? newNode();
      at.next.set(part, next);
      at = next;
    }
    at.entry = entry;
  }

  /** Breadth first. */
  private link(): void {
    const nodes = [this.root];
    for (const node of nodes) {
      for (const [part, child] of node.next) {
        const fail = node.fail ? this.step(node.fail, part) : this.root;
        child.fail = fail;
        child.shorter = fail.entry === null ? fail.shorter : fail;
        nodes.push(child);
      }
    }
  }

  private step(from: Node, part: string): Node {
    for (let node: Node | null = from; node; node = node.fail) {
      const next = node.next.get(part);
      if (next) return next;
    }
    return this.root;
  }
}
