// Colours: the editor's own from its CSS variables, and the scales of the heatmap.
import { interpolateLab } from 'd3-interpolate';
import { interpolateCividis } from 'd3-scale-chromatic';
import { type Scale } from './measures';

export interface Theme {
  foreground: string;
  muted: string;
  background: string;
  grid: string;
  focus: string;
  mark: string;
  accent: string;
  highContrast: boolean;
  dark: boolean;
  /** One per line of the profile; dashes and points distinguish them as well. */
  lines: string[];
}

// After Okabe and Ito's palette for every form of colour blindness, lighter on dark and darker on light; the editor's own chart
// colours are half transparent in some themes.
const LINES = {
  dark: ['#56b4e9', '#e69f00', '#2bbf94', '#cc79a7', '#f0e442', '#f2774b'],
  light: ['#0072b2', '#d55e00', '#007a58', '#9e4784', '#7a5c00', '#5b3fb5'],
};

/** Reads the variables that VS Code sets on the page, which change with the theme. */
export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const variable = (name: string, fallback: string): string =>
    style.getPropertyValue(`--vscode-${name}`).trim() || fallback;
  const classes = document.body.classList;
  const highContrast = classes.contains('vscode-high-contrast');
  const dark = classes.contains('vscode-dark') || (highContrast && !classes.contains('vscode-high-contrast-light'));
  const foreground = variable('editor-foreground', dark ? '#cccccc' : '#333333');
  return {
    foreground,
    muted: highContrast ? foreground : variable('descriptionForeground', foreground),
    background: variable('editor-background', dark ? '#1f1f1f' : '#ffffff'),
    grid: highContrast ? variable('contrastBorder', foreground) : variable('editorWidget-border', '#80808055'),
    focus: variable('focusBorder', '#0078d4'),
    mark: dark ? '#ffffff' : '#000000',
    accent: variable('charts-blue', '#3794ff'),
    highContrast,
    dark,
    lines: [...(dark ? LINES.dark : LINES.light), foreground],
  };
}

/** Calls back after each change of theme. */
export function onThemeChange(listener: () => void): void {
  new MutationObserver(listener).observe(document.body, { attributes: true, attributeFilter: ['class'] });
}

// Blue and orange differ for every common form of colour blindness; both use Lab, so that equal steps look equal.
const BLUE = '#3b9cf2';
const ORANGE = '#ee8a2a';

/** The colour of a value's fraction of its scale, 0 to 1. Both scales are perceptually even and safe for colour-blind people. */
export function scaleColor(scale: Scale, fraction: number, theme: Theme): string {
  const at = Math.min(Math.max(fraction, 0), 1);
  if (scale === 'sequential') return interpolateCividis(at);
  const middle = theme.dark ? '#2b2b2b' : '#f3f3f3';
  return at < 0.5 ? interpolateLab(ORANGE, middle)(2 * at) : interpolateLab(middle, BLUE)(2 * at - 1);
}

/** Black or white, whichever contrasts with the colour. */
export function inkOn(color: string): string {
  const [red, green, blue] = (/\d+/g.exec(color) ? color.match(/\d+/g)! : ['0', '0', '0']).map(Number) as [
    number,
    number,
    number,
  ];
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? '#000000' : '#ffffff';
}
