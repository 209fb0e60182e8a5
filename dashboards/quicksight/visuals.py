"""A panel as a visual of QuickSight over its data set, which has the mart's rows as they are."""

from typing import Any

from dashboards.panels import Measure, Panel

Json = dict[str, Any]
_HOW = {"sum": "SUM", "value": "SUM", "mean": "AVERAGE", "max": "MAX", "min": "MIN"}
_DATES = ("day",)


def shown(panel: Panel) -> list[Measure]:
    """The measures that QuickSight can show: numbers; the largest of texts it cannot tell."""
    return [each for each in panel.measures if each.unit or each.how == "count"]


def data_columns(panel: Panel, filters: tuple[str, ...]) -> list[str]:
    """The mart's columns that the visual, its calculated fields and its filters need, in order."""
    named = [*panel.by, *((panel.time[0],) if panel.time else ()), *filters]
    for each in shown(panel):
        named += [each.column, *([each.weight] if each.weight else [])]
    return list(dict.fromkeys(named))


def column_type(panel: Panel, column: str) -> str:
    """As an input column of a data set declares it."""
    if column in ("day", "started_at"):
        return "DATETIME"
    measure = next((each for each in panel.measures if column in (each.column, each.weight)), None)
    return "STRING" if column in panel.by or measure is None or measure.how == "count" else "DECIMAL"


def calculated_fields(panel: Panel, data_set: str) -> list[Json]:
    """A weighted mean is a calculated field: rows where the number is not known have no weight."""
    made = []
    for each in shown(panel):
        if each.how == "mean" and each.weight:
            number, weight = f"{{{each.column}}}", f"{{{each.weight}}}"
            over = f"sum(ifelse(isNull({number}), 0, {number} * {weight}))"
            expression = f"{over} / nullIf(sum(ifelse(isNull({number}), 0, {weight})), 0)"
            made.append({"DataSetIdentifier": data_set, "Name": calculated_name(each), "Expression": expression})
    return made


def calculated_name(measure: Measure) -> str:
    """Of the calculated field of a weighted mean."""
    return f"{measure.result} by {measure.weight}"


def visual(panel: Panel, data_set: str) -> Json:
    """The visual, its values named by their measures."""
    grouped = [_dimension(panel, column, data_set) for column in panel.by]
    values = [_measure(panel, each, data_set) for each in shown(panel)]
    about = {
        "VisualId": panel.name.replace("_", "-"),
        "Title": {"Visibility": "VISIBLE", "FormatText": {"PlainText": panel.title}},
        "Subtitle": {"Visibility": "VISIBLE", "FormatText": {"PlainText": panel.description}},
    }
    if panel.chart == "funnel":
        wells = {"FunnelChartAggregatedFieldWells": {"Category": grouped, "Values": values}}
        return {"FunnelChartVisual": {**about, "ChartConfiguration": {"FieldWells": wells}}}
    if panel.chart == "table":
        wells = {"TableAggregatedFieldWells": {"GroupBy": grouped, "Values": values}}
        return {"TableVisual": {**about, "ChartConfiguration": {"FieldWells": wells}}}
    if panel.chart == "line":
        wells = {"LineChartAggregatedFieldWells": {"Category": grouped[:1], "Values": values, "Colors": grouped[1:]}}
        if grouped[1:]:
            wells["LineChartAggregatedFieldWells"]["Values"] = values[
                :1
            ]  # QuickSight: one value where colours are used
        return {"LineChartVisual": {**about, "ChartConfiguration": {"FieldWells": wells, "Type": "LINE"}}}
    wells = {"BarChartAggregatedFieldWells": {"Category": grouped, "Values": values}}
    return {"BarChartVisual": {**about, "ChartConfiguration": {"FieldWells": wells, "Orientation": "HORIZONTAL"}}}


def _dimension(panel: Panel, column: str, data_set: str) -> Json:
    at = {"FieldId": f"{panel.name}.{column}", "Column": {"DataSetIdentifier": data_set, "ColumnName": column}}
    if column in _DATES:
        return {"DateDimensionField": {**at, "DateGranularity": "DAY"}}
    return {"CategoricalDimensionField": at}


def _measure(panel: Panel, measure: Measure, data_set: str) -> Json:
    name, field = measure.column, f"{panel.name}.{measure.result}"
    if measure.how == "mean" and measure.weight:
        column = {"DataSetIdentifier": data_set, "ColumnName": calculated_name(measure)}
        return {"NumericalMeasureField": {"FieldId": field, "Column": column}}
    column = {"DataSetIdentifier": data_set, "ColumnName": name}
    if measure.how == "count":
        return {"CategoricalMeasureField": {"FieldId": field, "Column": column, "AggregationFunction": "COUNT"}}
    how = {"SimpleNumericalAggregation": _HOW[measure.how]}
    return {"NumericalMeasureField": {"FieldId": field, "Column": column, "AggregationFunction": how}}
