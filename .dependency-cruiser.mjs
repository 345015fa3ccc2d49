// Which room may import which, and which libraries: checked by `npm run lint`.
const rooms = {
  'src/core': { libraries: ['pure-rand'] },
  'src/network': { rooms: ['src/core'] },
  'src/hub': { rooms: ['src/core', 'src/network'] },
  'src/cuda': { rooms: ['src/core', 'src/network'], libraries: ['yauzl', 'crc-32'] },
  'src/models': { rooms: ['src/core'], libraries: ['yaml'] },
  'src/engine': { rooms: ['src/core', 'src/cuda'], libraries: ['onnxruntime-node', 'pbf', 'systeminformation'] },
  'src/llm': {
    rooms: ['src/core', 'src/engine'],
    libraries: ['onnxruntime-node', '@huggingface/jinja', '@huggingface/tokenizers'],
  },
  'src/evaluation': { rooms: ['src/core'], libraries: ['csv-parse', 'pure-rand', 'yaml'] },
  'src/html': { rooms: ['src/core', 'src/evaluation'], libraries: ['d3-scale-chromatic'] },
  'src/work': { rooms: ['src/core', 'src/engine', 'src/evaluation', 'src/llm'] },
  'src/page': { rooms: ['src/core', 'src/evaluation'] },
  'src/cli': {
    rooms: [
      'src/core',
      'src/cuda',
      'src/engine',
      'src/evaluation',
      'src/html',
      'src/hub',
      'src/llm',
      'src/models',
      'src/network',
      'src/work',
    ],
    libraries: ['commander', 'picocolors', 'undici'],
  },
  'src/host': {
    rooms: [
      'src/core',
      'src/cuda',
      'src/engine',
      'src/evaluation',
      'src/html',
      'src/hub',
      'src/llm',
      'src/models',
      'src/network',
      'src/page',
      'src/work',
    ],
    libraries: ['vscode', 'jsonc-parser'],
  },
  webview: {
    rooms: ['src/core', 'src/evaluation', 'src/page'],
    libraries: [
      '@vscode/webview-ui-toolkit',
      'chart.js',
      'chartjs-chart-matrix',
      'd3-interpolate',
      'd3-scale-chromatic',
    ],
  },
};

export default {
  forbidden: [
    { name: 'no-circle', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-circle-of-folders',
      severity: 'error',
      scope: 'folder',
      from: { path: '^(src|webview)/' },
      to: { circular: true },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    ...Object.entries(rooms).flatMap(([room, { rooms: others = [], libraries = [] }]) => [
      {
        name: `${room}-rooms`,
        severity: 'error',
        from: { path: `^${room}/` },
        to: { path: '^(src|webview|test)/', pathNot: `^(${[room, ...others].join('|')})/` },
      },
      {
        name: `${room}-libraries`,
        severity: 'error',
        from: { path: `^${room}/` },
        to: {
          dependencyTypesNot: ['core', 'local'],
          path: 'node_modules/',
          ...(libraries.length > 0 ? { pathNot: `node_modules/(@types/)?(${libraries.join('|')})/` } : {}),
        },
      },
    ]),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
