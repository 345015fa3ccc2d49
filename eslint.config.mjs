import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** A later `no-restricted-syntax` replaces an earlier one, so each that is for src/ repeats it. */
const inlineError = {
  selector: "ThrowStatement > NewExpression[callee.name='SafeLoraError']",
  message: 'Throw what a named factory returns.',
};

export default tseslint.config(
  { ignores: ['dist/', 'demo-results/', 'test-results/', 'node_modules/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.json', './webview/tsconfig.json', './test/e2e/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      // Indices are bounded by the loops around them in numeric code; `!` there costs nothing and reads better than a branch.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // `{ path, ...rest }` is how a property is left out.
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      // `() => this.show()` reads well where nobody takes what it gives.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  { files: ['src/**/*.ts'], rules: { 'no-restricted-syntax': ['error', inlineError] } },
  {
    // Text from files is made visible on its way to the terminal: one module writes to it.
    files: ['src/**/*.ts'],
    ignores: ['src/cli/terminal.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        ...['stdout', 'stderr'].map((property) => ({
          object: 'process',
          property,
          message: 'Write through src/cli/terminal.ts.',
        })),
      ],
    },
  },
  {
    // And on its way to the editor, another.
    files: ['src/host/**/*.ts'],
    ignores: ['src/host/common/surface.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        inlineError,
        ...[
          "MemberExpression[object.property.name='window'][property.name=/^(?:show(?!TextDocument)|withProgress|set|create)/]",
          'MemberExpression[property.name=/^register(?:CodeLensProvider|Tool)$/]',
          'NewExpression[callee.property.name=/^(?:CodeLens|Diagnostic|FileDecoration|LanguageModelTextPart|MarkdownString)$/]',
        ].map((selector) => ({ selector, message: 'Show it through src/host/common/surface.ts.' })),
      ],
    },
  },
  {
    // On its way to a page, a third.
    files: ['webview/**/*.ts'],
    ignores: ['webview/shared/ui.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...[
          'AssignmentExpression[left.property.name=/^(?:textContent|inner|outer|aria)/]',
          "AssignmentExpression[left.property.name='title'][right.type!='ObjectExpression']",
          "CallExpression[callee.property.name='setAttribute'][arguments.0.value=/^(?:title|placeholder|aria-label)$/]",
          'CallExpression[callee.property.name=/^(?:fillText|strokeText|insertAdjacent\\w+)$/]',
        ].map((selector) => ({ selector, message: 'Show it through webview/shared/ui.ts.' })),
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // node:test's describe and it return promises that the runner itself awaits.
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: ['describe', 'it', 'test'] }] },
      ],
    },
  },
  { files: ['**/*.mjs'], languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } } },
  {
    files: ['test/e2e/probe/*.js'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: Object.fromEntries(
        ['require', 'exports', 'process', 'setInterval', 'clearInterval'].map((name) => [name, 'readonly']),
      ),
    },
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
);
