"""`milepost dashboard`: the analysts' pages in Streamlit, over the marts that the warehouse built."""
