import { CustomChart, LineChart } from "echarts/charts";
import { GridComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import type { Point } from "./series.ts";
import { compact } from "./words.ts";

use([LineChart, CustomChart, GridComponent, SVGRenderer]);

export type Colour = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;

/** One line of a chart. */
export interface Line {
  name: string;
  points: Point[];
  /** Which of the page's series colours, from 1. */
  colour: Colour;
  /** A level to compare with, such as the teacher's accuracy. */
  dashed?: boolean;
}

export interface Chart {
  title: string;
  /** What is measured, with its unit. */
  caption: string;
  lines: Line[];
  format: (value: number) => string;
  /** Begins the scale at zero. */
  from0?: boolean;
  log?: boolean;
  /** The values are shares of one whole: the scale does not go past it. */
  share?: boolean;
  /** Steps on a logarithmic scale: for lengths of which each is a multiple of the one before. */
  logSteps?: boolean;
}

const WIDTH = 540;
const HEIGHT = 260;
/** Curves of fewer points show them. */
const DOTTED_BELOW = 40;

/**
 * Colours as the renderer wants them, and what the page puts in their place: a chart follows the reader's light
 * or dark scheme without being drawn twice.
 */
const COLOURS = {
  "#010101": "var(--muted)",
  "#020202": "var(--rule)",
  "#030301": "var(--series-1)",
  "#030302": "var(--series-2)",
  "#030303": "var(--series-3)",
  "#030304": "var(--series-4)",
  "#030305": "var(--series-5)",
  "#030306": "var(--series-6)",
  "#030307": "var(--series-7)",
  "#030308": "var(--series-8)",
  "#030309": "var(--series-9)",
} as const;
const INK = "#010101";
const RULE = "#020202";
const seriesColour = (line: Line) => `#03030${line.colour}`;

/** Draws a chart as SVG to be set into a page that defines --muted, --rule and --series-1 … 9. */
export function svgOf(chart: Chart): string {
  const drawing = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  drawing.setOption({
    animation: false,
    textStyle: { fontFamily: "inherit", fontSize: 12, color: INK },
    grid: {
      left: 8,
      right: 18,
      top: 14,
      bottom: 8,
      outerBoundsMode: "same",
      outerBoundsContain: "axisLabel",
    },
    xAxis: axis(compact, {
      splitNumber: 5,
      ...(chart.logSteps ? logSteps(chart.lines) : { min: 0, max: "dataMax", minInterval: 1 }),
      splitLine: { show: false },
      axisLine: { lineStyle: { color: RULE } },
    }),
    yAxis: axis(chart.format, {
      type: chart.log ? "log" : "value",
      scale: !chart.from0,
      ...(chart.share ? shareScale(chart.lines) : {}),
      axisLine: { show: false },
      splitLine: { lineStyle: { color: RULE } },
    }),
    series: chart.lines.flatMap((line) => [...bandOf(line), lineOf(line)]),
  });
  const svg = drawing.renderToSVGString();
  drawing.dispose();
  return placed(svg, `${chart.title}: ${chart.caption}`);
}

function axis(format: (value: number) => string, more: object): object {
  return {
    type: "value",
    axisLabel: { color: INK, formatter: (value: number) => format(value), hideOverlap: true },
    axisTick: { show: false },
    splitNumber: 4,
    ...more,
  };
}

/** From one mark to another around the values, within 0 and 1; marks at whole per cents, which labels can say. */
function shareScale(lines: Line[]): { min: number; max: number; interval: number } {
  const values = lines.flatMap(({ points }) => points.flatMap((point) => [point.min, point.max]));
  const min = Math.max(0, Math.floor(20 * Math.min(...values) - 0.2) / 20);
  const max = Math.min(1, Math.ceil(20 * Math.max(...values) + 0.2) / 20);
  const interval = [0.01, 0.02, 0.05, 0.1].find((step) => (max - min) / step < 5.5) ?? 0.2;
  const marks = (share: number) => Number((share / interval).toFixed(6)); // 0.15 / 0.05 is not 3
  return { min: interval * Math.floor(marks(min)), max: interval * Math.ceil(marks(max)), interval };
}

/** The lengths that there are as marks, with some room beside the shortest and the longest. */
function logSteps(lines: Line[]): object {
  const steps = [...new Set(lines.flatMap(({ points }) => points.map(({ step }) => step)))];
  return {
    ...{ type: "log", min: Math.min(...steps) / 1.5, max: Math.max(...steps) * 1.5 },
    axisLabel: { color: INK, formatter: (step: number) => compact(step), customValues: steps },
  };
}

function lineOf(line: Line): object {
  const dots = !line.dashed && line.points.length < DOTTED_BELOW;
  return {
    type: "line",
    data: line.points.map(({ step, mean }) => [step, mean]),
    showSymbol: dots,
    symbol: "circle",
    symbolSize: 5,
    itemStyle: { color: seriesColour(line) },
    lineStyle: {
      color: seriesColour(line),
      width: line.dashed ? 1.25 : 1.75,
      type: line.dashed ? [5, 4] : "solid",
    },
  };
}

/** Where points stand for several values: the range from their smallest to their largest. */
function bandOf(line: Line): object[] {
  const { points } = line;
  if (!points.some(({ count }) => count > 1)) return [];
  const outline = [
    ...points.map(({ step, max }) => [step, max]),
    ...points.map(({ step, min }) => [step, min]).reverse(),
  ];
  type Api = { coord(value: number[]): number[] };
  return [
    {
      type: "custom",
      data: outline, // for the extent of the axes; drawn once, as one shape
      renderItem: ({ dataIndex }: { dataIndex: number }, api: Api) =>
        dataIndex > 0
          ? undefined
          : {
              type: "polygon",
              shape: { points: outline.map((value) => api.coord(value)) },
              style: { fill: seriesColour(line), opacity: 0.18 },
            },
    },
  ];
}

function placed(svg: string, label: string): string {
  let text = svg
    .replace(/ xmlns(:\w+)?="[^"]*"/g, "") // not needed inside HTML
    .replace(/^<svg width="\d+" height="\d+"/, `<svg role="img" aria-label="${label}"`);
  for (const [drawn, wanted] of Object.entries(COLOURS)) text = text.replaceAll(drawn, wanted);
  return text;
}
