"""What a fleet costs a month on AWS: measured units × list prices, beside the two usual designs (`milepost cost`).

- `iot_rules/prices.json`: list prices, with their date; the one place where a price stands.
- `units.json`: what one sample, batch or report takes, measured by benchmarks/cost_units.py on the deployed stack.
- `model.py`: the arithmetic of the trucks, `shop.py`: of the clicks; pure.
"""
