"""Orders, customers, deliveries, recommendations and routes: from a click to a delivery."""
