"""The analysts' views: Streamlit, Grafana, QuickSight and a notebook over the warehouse's marts."""
