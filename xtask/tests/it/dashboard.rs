//! The dashboard is valid: CloudFormation passes its text to CloudWatch, which refuses a widget without a type.

use serde_json::Value;

use crate::templates::template;

#[test]
fn every_widget_has_the_properties_that_cloudwatch_requires() {
    let template = template::load(&template::directory().join("api-backend-fargate.yaml")).unwrap();
    let body = &template["Resources"]["SignalsDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"];
    // What is put in besides is a name here or an address there, but this is two texts.
    let text = body[0].as_str().unwrap().replace("${Api}", r#""ApiName","api""#);
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let widgets = dashboard["widgets"].as_array().unwrap();
    assert_eq!(widgets.len(), 4, "latency, traffic, errors, saturation");
    for widget in widgets {
        // <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html>
        assert_eq!(widget["type"], "metric", "{widget}");
        let properties = &widget["properties"];
        assert!(properties["region"].is_string() && properties["metrics"].is_array(), "{widget}");
    }
}
